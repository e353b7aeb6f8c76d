# Runs packaging/void/template as xbps-src does with build_style=cargo, in the empty directory $1. $PWD is the source tree.
set -eu
XBPS_SRCPKGDIR=$1/srcpkgs XBPS_BUILDDIR=$1/builddir DESTDIR=$1/pkg RUST_TARGET=x86_64-unknown-linux-gnu
mkdir -p "$XBPS_SRCPKGDIR" "$DESTDIR"
cp -R packaging/void "$XBPS_SRCPKGDIR/sysmgr"

vinstall() { install -Dm"$2" "$1" "$DESTDIR/$3/${4:-${1##*/}}"; }
vman() { vinstall "$1" 644 "usr/share/man/man${1##*.}"; }
vdoc() { vinstall "$1" 644 "usr/share/doc/$pkgname"; }
vsconf() { vinstall "$1" 644 "usr/share/examples/$pkgname"; }
vlicense() { vinstall "$1" 644 "usr/share/licenses/$pkgname"; }
vcompletion() {
	case $2 in
	bash) vinstall "$1" 644 usr/share/bash-completion/completions "$3" ;;
	zsh) vinstall "$1" 644 usr/share/zsh/site-functions "_$3" ;;
	fish) vinstall "$1" 644 usr/share/fish/vendor_completions.d "$3.fish" ;;
	esac
}
vsv() {
	mkdir -p "$DESTDIR/etc/sv"
	cp -a "$FILESDIR/$1" "$DESTDIR/etc/sv"
	chmod 755 "$DESTDIR/etc/sv/$1/run"
	ln -s "/run/runit/supervise.$1" "$DESTDIR/etc/sv/$1/supervise"
}

source "$XBPS_SRCPKGDIR/sysmgr/template"

# What xbps-src sets or forgets once it has read the template.
unset RUSTFLAGS
set +u
FILESDIR=$XBPS_SRCPKGDIR/$pkgname/files wrksrc=$XBPS_BUILDDIR/$pkgname-$version
mkdir -p "$wrksrc"
cp -R README.md CHANGELOG.md LICENSE examples "$wrksrc"/
umask 022

# Each phase is a process of its own.
(
	cd "$wrksrc"
	pre_build
	cargo auditable build --release --locked --target "$RUST_TARGET"
)
(
	cd "$wrksrc"
	pre_check
	cargo auditable test --release --locked --target "$RUST_TARGET"
)
(
	cd "$wrksrc"
	pre_install
	cargo auditable install --path . --target "$RUST_TARGET" --root="$DESTDIR/usr" --locked
	post_install
)
