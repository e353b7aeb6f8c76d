# Runs packaging/alpine/APKBUILD as abuild does, in the empty directory $1, and ends with a sentence where abuild would
# end or warn. $PWD is the source tree. Each package is left in $1/pkg.
set -e
umask 022
recipe=$PWD/packaging/alpine startdir=$1/aport srcdir=$1/src pkgbasedir=$1/pkg
CTARGET=${CTARGET:-x86_64-alpine-linux-musl} MAKEFLAGS=-j2
export CTARGET MAKEFLAGS

fault() {
	echo "abuild would complain: $*" >&2
	exit 1
}

# Every step that needs root is a process of its own, which reads the APKBUILD again and inherits what that exports.
read_recipe() {
	. "$recipe"/APKBUILD
	builddir=$srcdir/$pkgname-$pkgver pkgdir=$pkgbasedir/$pkgname
}

validate() {
	[ "$(printf %s "$pkgdesc" | wc -c)" -lt 128 ] || fault "pkgdesc is too long"
	[ "$license" = MIT ] || fault "license is no known one"
	case $maintainer in
	*\ \<*@*.*\>) ;;
	*) fault "maintainer is no mail address" ;;
	esac
	# Of the rules of apkbuild-lint: tabs, no trailing blanks, no needless words, own variables begin with _.
	! grep -vE '^(#|[0-9a-f]{128} )' "$recipe"/APKBUILD |
		grep -nE '^ |[[:blank:]]$|\|\| return 1|cd "?\$builddir|`|^function|\(\)$|^[[:upper:]]+=|\$\{|=""$' ||
		fault "form of the APKBUILD"
	for script in $install; do
		[ -f "$recipe/$script" ] || fault "$script is missing"
		! grep -E 'chown|chmod|chgrp' "$recipe/$script" || fault "$script changes permissions"
		case $script in
		"$pkgname".post-upgrade) ;;
		*) fault "$script belongs to no package" ;;
		esac
	done
}

# The sources lie in srcdir as links; each has a checksum, in the same order.
fetch() {
	mkdir -p "$srcdir" "$startdir"
	# shellcheck disable=SC2086 # words
	set -- $sha512sums
	for file in $source; do
		name=${file%%::*}
		[ "$2" = "$name" ] || fault "checksum of $name: $2"
		case $file in
		*::https://*) ;;
		*)
			cp "$recipe/$file" "$startdir/"
			ln -s "$startdir/$file" "$srcdir/"
			[ "$(sha512sum <"$srcdir/$file")" = "$1  -" ] || fault "checksum of $name"
			;;
		esac
		case $name in
		*.initd) [ "$(head -n 1 "$srcdir/$name")" = '#!/sbin/openrc-run' ] || fault "$name is none" ;;
		esac
		shift 2
	done
	[ $# = 0 ] || fault "more checksums than sources"
}

default_prepare() {
	cd "$builddir"
}

amove() {
	cd "$pkgdir"
	for path; do
		[ -e "$path" ] || fault "$subpkgname: no $path"
		mkdir -p "$subpkgdir/${path%/*}"
		mv "$path" "$subpkgdir/${path%/*}"
		rmdir -p "${path%/*}" 2>/dev/null || :
	done
}

doc() {
	amove usr/share/doc usr/share/man
	[ ! -e "$pkgdir"/usr/share/licenses ] || amove usr/share/licenses
	find "$subpkgdir"/usr/share/man -type f -exec gzip -n -9 {} +
}
openrc() { amove etc/conf.d etc/init.d; }
bashcomp() { amove usr/share/bash-completion/completions; }
zshcomp() { amove usr/share/zsh/site-functions; }
fishcomp() { amove usr/share/fish/vendor_completions.d; }

split() {
	subpkgname=$1 subpkgdir=$pkgbasedir/$1
	case $1 in
	*-bash-completion) bashcomp ;;
	*-zsh-completion) zshcomp ;;
	*-fish-completion) fishcomp ;;
	*) "${1##*-}" ;;
	esac
}

# postcheck NAME: what may not be in a package, or not in one of that name
postcheck() {
	dir=$pkgbasedir/$1
	for top in srv usr/local opt tmp var/tmp var/lock var/empty home sys proc mnt dev run \
		lib64 usr/lib64 bin sbin lib usr/sbin usr/libexec usr/var usr/lib/systemd usr/share/locale; do
		[ ! -e "$dir/$top" ] || fault "$1 has /$top"
	done
	for pair in etc/init.d:openrc etc/conf.d:openrc usr/share/doc:doc usr/share/man:doc usr/share/licenses:doc \
		usr/share/bash-completion:bash-completion usr/share/zsh:zsh-completion usr/share/fish:fish-completion; do
		[ ! -e "$dir/${pair%:*}" ] || [ "$1" = "$pkgname-${pair#*:}" ] || fault "$1 has /${pair%:*}"
	done
	find "$dir" \( -path '*/share/man/*.[0-9]' -o ! -type l -perm -002 -o -type f -perm /6000 \) | while read -r path; do
		fault "$path: uncompressed page, or permissions"
	done
	if command -v scanelf >/dev/null; then
		[ -z "$(scanelf --recursive --textrel --quiet "$dir")" ] || fault "$1 has text relocations"
		[ -z "$(scanelf --recursive --needed --quiet "$dir")" ] || fault "$1 needs shared libraries"
	fi
}

(
	read_recipe
	validate
	fetch
	mkdir -p "$builddir"
	# shellcheck disable=SC2086 # words
	cp -Rp ${SOURCES:-Makefile config.toml Cargo.toml README.md CHANGELOG.md LICENSE examples packaging} "$builddir"/
	for step in prepare build check; do
		cd "$builddir"
		"$step"
	done
	(
		read_recipe
		cd "$builddir"
		package
		for name in $subpackages; do
			(
				read_recipe
				split "$name"
			)
			postcheck "$name"
		done
		postcheck "$pkgname"
	)
)
