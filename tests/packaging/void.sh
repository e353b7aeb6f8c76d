# Runs packaging/void/template as xbps-src does with build_style=cargo, in the empty directory $1, and ends with a
# sentence where xbps-src would. $PWD is the source tree. The package is left in $1/pkg.
set -eE
umask 022
export XBPS_SRCPKGDIR=$1/srcpkgs XBPS_BUILDDIR=$1/builddir DESTDIR=$1/pkg
export RUST_TARGET=${RUST_TARGET:-x86_64-unknown-linux-gnu}
mkdir -p "$XBPS_SRCPKGDIR" "$DESTDIR"
cp -R packaging/void "$XBPS_SRCPKGDIR/sysmgr"

fault() {
	echo "xbps-src would complain: $*" >&2
	exit 1
}

# The helpers are aliases: patterns in their arguments are not expanded.
shopt -s expand_aliases
patterns() {
	set +f
	"$@"
}
for helper in vinstall vcompletion vman vdoc vsconf vlicense vsv; do
	# shellcheck disable=SC2139 # expanded now
	alias $helper="set -f; patterns _$helper"
done

_vinstall() {
	[ -r "$1" ] || fault "cannot find $1"
	install -Dm"$2" "$1" "$DESTDIR/$3/${4:-${1##*/}}"
}
_vman() {
	[[ $1 =~ \.[0-9n]$ ]] || fault "$1 is no page"
	_vinstall "$1" 644 "usr/share/man/man${1##*.}"
}
_vdoc() { _vinstall "$1" 644 "usr/share/doc/$pkgname" "$2"; }
_vsconf() { _vinstall "$1" 644 "usr/share/examples/$pkgname" "$2"; }
_vlicense() { _vinstall "$1" 644 "usr/share/licenses/$pkgname" "$2"; }
_vcompletion() {
	case $2 in
	bash) _vinstall "$1" 644 usr/share/bash-completion/completions "$3" ;;
	zsh) _vinstall "$1" 644 usr/share/zsh/site-functions "_$3" ;;
	fish) _vinstall "$1" 644 usr/share/fish/vendor_completions.d "$3.fish" ;;
	*) fault "unknown shell $2" ;;
	esac
}
_vsv() {
	mkdir -p "$DESTDIR/etc/sv"
	cp -a "$FILESDIR/$1" "$DESTDIR/etc/sv"
	chmod 755 "$DESTDIR/etc/sv/$1/run"
	ln -s "/run/runit/supervise.$1" "$DESTDIR/etc/sv/$1/supervise"
}

# Every phase is a process of its own; what the template exports for RUSTFLAGS is forgotten when it has been read.
read_template() {
	source "$XBPS_SRCPKGDIR/sysmgr/template"
	unset RUSTFLAGS CARGO_BUILD_TARGET
	FILESDIR=$XBPS_SRCPKGDIR/$pkgname/files wrksrc=$XBPS_BUILDDIR/$pkgname-$version
}

do_build() { cargo auditable build --release --locked --target "$RUST_TARGET"; }
do_check() { cargo auditable test --release --locked --target "$RUST_TARGET"; }
do_install() {
	cargo auditable install --target "$RUST_TARGET" --root="$DESTDIR/usr" --offline --locked --path .
	rm -f "$DESTDIR"/usr/.crates.toml "$DESTDIR"/usr/.crates2.json
}

phase() (
	read_template
	for function in "pre_$1" "do_$1" "post_$1"; do
		if declare -f "$function" >/dev/null; then
			cd "$wrksrc"
			"$function"
		fi
	done
)

# What no package may have.
lint() (
	read_template
	[ ${#short_desc} -le 72 ] || fault "short_desc is too long"
	cd "$DESTDIR"
	for path in *; do
		case $path in
		usr | etc | var) ;;
		*) fault "/$path is not allowed" ;;
		esac
	done
	for path in usr/{sbin,lib64,local,man,doc} var/run etc/bash_completion.d; do
		[ ! -e "$path" ] || fault "/$path is not allowed"
	done
	path=$(find . -type d -empty)
	[ -z "$path" ] || fault "$path is removed, being empty; make_dirs keeps it"
	[ "${make_dirs%% *}" = /var/sysmgr ] || fault "no service directory"
)

(
	read_template
	mkdir -p "$wrksrc"
	# shellcheck disable=SC2086 # words
	cp -Rp ${SOURCES:-Makefile config.toml Cargo.toml README.md CHANGELOG.md LICENSE examples packaging} "$wrksrc"/
)
phase build
phase check
phase install
lint
