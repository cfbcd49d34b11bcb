#!/bin/bash
# build-toolchain.sh FOLDER: toolchain64.gz, an initial RAM disk with this host's C compiler (Debian's gcc for amd64, the C library to link
# statically) and the sources of the tests' programs. What is there already is kept.
set -euo pipefail
[ $# = 1 ] || { sed -n 2,3p "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
out=$1/toolchain64.gz
[ -s "$out" ] && [ "$out" -nt "$here/soak.sh" ] && exit 0
root=$(mktemp -d) && trap 'rm -rf "$root"' EXIT

# put FILE: the file, and the libraries that it is linked with, where they are on this host
put() {
  local file
  for file in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true); do
    [ -e "$root$file" ] || { mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file"; }
  done
}
for program in gcc as ld; do put "$(command -v $program)"; done
for part in cc1 collect2 lto-wrapper; do put "$(gcc -print-prog-name=$part)"; done
put "$(gcc -print-file-name=liblto_plugin.so)"
for file in crt1.o crti.o crtn.o crtbeginT.o crtend.o libgcc.a libgcc_eh.a libc.a libm.a; do put "$(realpath -s "$(gcc -print-file-name=$file)")"; done
# libm.a names others.
for file in $(grep -o '/[^ ]*\.a' "$(gcc -print-file-name=libm.a)" 2>/dev/null || true); do put "$file"; done
cp -a --parents /usr/include "$(realpath "$(gcc -print-file-name=include)")" "$root"
mkdir -p "$root"/{bin,dev,proc,tmp,sources}
ln -s usr/lib "$root/lib" 2>/dev/null || true
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$here"/../guests/workload/workload.c "$here"/../bench/workloads/* "$root/sources"
install -m 755 "$here/soak.sh" "$root/init"
mknod -m 600 "$root/dev/console" c 5 1 2>/dev/null || true
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) | gzip -1 >"$out.part"
mv "$out.part" "$out"
