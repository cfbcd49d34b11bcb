#!/bin/bash
# build-guests.sh FOLDER: puts the guests of test/guests into FOLDER, from Debian's packages:
#   kernel32 kernel64 kernel64general   Debian's installer (i386), cloud and general kernels
#   initrd32.gz initrd64.gz             busybox, workload/workload.c and the workloads of ../bench
#   initrd64disk.gz                     busybox, workload/reads.c, and drivers of block devices and file systems for both 64-bit kernels
#   workload32 workload64               the same programs, to be run on this host
#   bench32 bench64
#   memtest32.bin memtest64.bin         memtest86+
#   grub-xen.bin                        GRUB as a paravirtualized guest
# What is there already is kept. Needs apt, dpkg-deb, gcc with -m32, cpio, busybox-static, and once
# `dpkg --add-architecture i386 && apt-get update`. A part that cannot be made is named on standard error; the tests then skip it.
set -uo pipefail
[ $# = 1 ] || { sed -n 2,10p "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/debs" && out=$(cd "$1" && pwd) || exit 1
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
missing=0
lacks() { echo "build-guests: no $1: $2" >&2; missing=1; }

# fetch PACKAGE[:ARCH]: the path of its .deb, downloaded once
fetch() {
  local name=${1%%:*} arch=${1#*:} pattern
  [ "$arch" = "$1" ] && pattern="${name}_*.deb" || pattern="${name}_*_${arch}.deb"
  # shellcheck disable=SC2086
  compgen -G "$out/debs/"$pattern >/dev/null || (cd "$out/debs" && for try in 1 2 3; do apt-get download -qq "$1" >/dev/null 2>"$work/apt" && break; sleep $((try * 3)); done)
  compgen -G "$out/debs/"$pattern | tail -1
}

# The kernel package that a metapackage stands for today
current() { apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' | head -1; }

# extract DEB PATTERN TARGET: one file out of a package
extract() {
  local into
  into=$(mktemp -d -p "$work")
  [ -n "$1" ] && dpkg-deb --fsys-tarfile "$1" | tar -x -C "$into" --wildcards "$2" 2>/dev/null || return 1
  local file
  file=$(find "$into" -type f | head -1)
  [ -n "$file" ] && install -m 644 "$file" "$3"
}

kernel() { # kernel NAME PACKAGE PATTERN
  [ -s "$out/$1" ] && return
  extract "$(fetch "$2")" "$3" "$out/$1" || lacks "$1" "package ${2:-unknown} could not be fetched"
}
kernel kernel64 "$(current linux-image-cloud-amd64)" './boot/vmlinuz-*'
kernel kernel64general "$(current linux-image-amd64)" './boot/vmlinuz-*'
kernel kernel32 debian-installer-12-netboot-i386 '*/text/debian-installer/i386/linux'
kernel grub-xen.bin grub-xen-host './usr/lib/grub-xen/grub-x86_64-xen.bin'
kernel memtest64.bin memtest86+ './boot/memtest86+x64.bin'
kernel memtest32.bin memtest86+ './boot/memtest86+ia32.bin'

initrd() { # initrd BITS BUSYBOX
  local root=$work/root$1 newer=
  if ! { gcc -O2 -static -s -Wall -Wextra -m"$1" ${3:+$3} -o "$work/workload$1" "$here/workload/workload.c" -lm &&
    gcc -O2 -static -s -Wall -Wextra -m"$1" ${3:+$3} -o "$work/bench$1" "$here"/../bench/workloads/*.c; }; then
    lacks "initrd$1.gz" "gcc -m$1 failed"
    return
  fi
  for program in workload$1 bench$1; do
    cmp -s "$work/$program" "$out/$program" || { cp "$work/$program" "$out/$program"; newer=1; }
  done
  [ -z "$newer" ] && [ -s "$out/initrd$1.gz" ] && [ "$out/initrd$1.gz" -nt "$here/workload/init.sh" ] && return
  if [ ! -x "${2:-}" ]; then
    lacks "initrd$1.gz" "there is no ${1}-bit static busybox"
    return
  fi
  mkdir -p "$root"/{bin,dev,proc,sys}
  cp "$2" "$root/bin/busybox" && cp "$out/workload$1" "$root/workload" && cp "$out/bench$1" "$root/bench" && cp "$here/workload/init.sh" "$root/init"
  chmod 755 "$root/init" "$root/workload" "$root/bench" "$root/bin/busybox"
  mknod -m 600 "$root/dev/console" c 5 1 2>/dev/null || true
  find "$root" -exec touch -h -d @0 {} +
  (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible | gzip -9n) >"$out/initrd$1.gz"
}
initrd 64 "$(command -v busybox)" -march=x86-64
busybox32=$(fetch busybox-static:i386)
[ -n "$busybox32" ] && dpkg-deb -x "$busybox32" "$work/busybox32"
initrd 32 "$work/busybox32/bin/busybox" -march=i686

disks() {
  local root=$work/disk drivers=$work/drivers package file
  [ -s "$out/initrd64disk.gz" ] && [ "$out/initrd64disk.gz" -nt "$here/workload/disk.sh" ] && [ "$out/initrd64disk.gz" -nt "$here/workload/reads.c" ] && return
  mkdir -p "$root"/{bin,dev} "$drivers"
  if ! gcc -O2 -static -s -Wall -Wextra -march=x86-64 -o "$root/reads" "$here/workload/reads.c" || ! cp "$(command -v busybox)" "$root/bin/busybox"; then
    lacks initrd64disk.gz "gcc or busybox failed"
    return
  fi
  for package in linux-image-cloud-amd64 linux-image-amd64; do
    package=$(fetch "$(current $package)")
    [ -n "$package" ] && dpkg-deb --fsys-tarfile "$package" |
      tar -x -C "$drivers" --wildcards './lib/modules/*/'{crc32c_generic,crc16,mbcache,jbd2,ext4,xen-blkfront}.ko 2>/dev/null
  done
  # What is not there is built into that kernel.
  find "$drivers" -name '*.ko' | while read -r file; do
    package=${file#"$drivers"/lib/modules/}
    install -D -m 644 "$file" "$root/lib/modules/${package%%/*}/${file##*/}"
  done
  [ -d "$root/lib/modules" ] || { lacks initrd64disk.gz "no drivers in the kernels' packages"; return; }
  install -m 755 "$here/workload/disk.sh" "$root/init"
  chmod 755 "$root/reads" "$root/bin/busybox"
  mknod -m 600 "$root/dev/console" c 5 1 2>/dev/null || true
  find "$root" -exec touch -h -d @0 {} +
  (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible | gzip -9n) >"$out/initrd64disk.gz"
}
disks
exit $missing
