#!/bin/sh
# Builds the built-in guest: src/ -> image/corner.elf. The same bytes every time, with these tools (Debian 12):
#   gcc 12.2.0-14+deb12u1, GNU binutils 2.40
# Other versions build a working guest too, but not necessarily the committed bytes.
#
#   build.sh            writes image/corner.elf
#   build.sh --check    builds aside and exits with 1 if the committed image differs
#   build.sh -o FILE    writes FILE
set -eu
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0

here=$(cd "$(dirname "$0")" && pwd)
target=$here/image/corner.elf
check=no
case ${1-} in
  '') ;;
  --check) check=yes ;;
  -o) target=$(realpath "$2") ;;
  *) echo "usage: build.sh [--check | -o FILE]" >&2; exit 2 ;;
esac

CC=${CC-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/kernel" "$work/programs"
# Names are relative and the same everywhere: none of this machine's paths can get into the image.
cd "$here/src"

common="-std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-common -fno-ident
  -fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-delete-null-pointer-checks
  -march=x86-64 -mtune=generic -mno-red-zone -g0 -Wa,--noexecstack"
kernel="$common -mcmodel=kernel -mgeneral-regs-only -fno-tree-loop-distribute-patterns"
program="$common -fno-tree-loop-distribute-patterns -fno-tree-vectorize"
link="-nostdlib -static -no-pie -Wl,--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-warn-rwx-segments,--hash-style=gnu,-s"

# shellcheck disable=SC2086  # the flags are words
for source in programs/lib.c programs/start.S common/string.c; do
  $CC $program -c "$source" -o "$work/programs/$(basename "$source").o"
done
names=
for source in programs/*.c; do
  name=$(basename "$source" .c)
  [ "$name" = lib ] && continue
  names="$names $name"
  $CC $program -c "$source" -o "$work/programs/$name.o"
  $CC $link -T programs/program.ld "$work/programs/$name.o" "$work"/programs/*.c.o "$work"/programs/*.S.o -o "$work/programs/$name.elf"
done

# The table `programs` (struct program: name[16], start, size) and the files, each from a page's start.
{
  echo '    .section .rodata; .globl programs; .globl program_count; .balign 8; programs:'
  count=0
  for name in $names; do
    echo "    .ascii \"$name\"; .skip 16 - ${#name}; .quad .Lfile_$name, .Lend_$name - .Lfile_$name"
    count=$((count + 1))
  done
  echo "program_count: .long $count"
  echo '    .section .programs, "a"'
  for name in $names; do
    echo "    .balign 4096; .Lfile_$name: .incbin \"$name.elf\"; .Lend_$name:"
  done
  echo '    .section .note.GNU-stack, "", @progbits'
} > "$work/programs.S"
$CC -c -Wa,-I"$work/programs" "$work/programs.S" -o "$work/kernel/programs.o"

for source in *.c *.S common/*.c native/*.c native/*.S para/*.c para/*.S; do
  $CC $kernel -c "$source" -o "$work/kernel/$(echo "$source" | tr / _).o"
done
$CC $link -T link.ld "$work"/kernel/*.o -o "$work/corner.elf"

if [ $check = yes ]; then
  if cmp -s "$work/corner.elf" "$target"; then
    echo "image/corner.elf is what the source builds"
  else
    echo "image/corner.elf is not what the source builds with $($CC --version | head -n 1)" >&2
    exit 1
  fi
else
  mkdir -p "$(dirname "$target")"
  cp "$work/corner.elf" "$target"
  chmod 644 "$target"
fi
