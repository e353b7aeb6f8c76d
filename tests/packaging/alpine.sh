# Runs the functions of packaging/alpine/APKBUILD as abuild does, in the empty directory $1. $PWD is the source tree.
set -eu
recipe=$PWD/packaging/alpine
startdir=$1 srcdir=$1/src pkgdir=$1/pkg CTARGET=x86_64-alpine-linux-musl RUSTFLAGS=-Cdebuginfo=0
export CTARGET RUSTFLAGS

default_prepare() { :; }

. "$recipe"/APKBUILD

# Every source that is not remote has a checksum, and lies beside the APKBUILD; so do the install scripts.
mkdir -p "$srcdir"
for file in $source; do
	case $file in
	*::*) ;;
	*)
		cp "$recipe/$file" "$srcdir"/
		(cd "$srcdir" && echo "$sha512sums" | grep -F "  $file" | sha512sum -c --quiet) || echo "checksum of $file"
		;;
	esac
done
for file in $install; do
	[ -f "$recipe/$file" ]
done

builddir=$srcdir/$pkgname-$pkgver
mkdir -p "$builddir" "$pkgdir"
cp -R README.md CHANGELOG.md LICENSE examples "$builddir"/
cd "$builddir"
umask 022
prepare
build
check
package
