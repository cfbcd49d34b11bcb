#!/bin/busybox sh
# PID 1: touches all of RAM once, then compiles the sources again and again and runs what comes out, until somebody ends it.
/bin/busybox mkdir -p /proc /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
export PATH=/usr/bin:/bin:/usr/lib/gcc
/bin/busybox mount -t tmpfs -o size=100% tmpfs /tmp
/bin/busybox dd if=/dev/zero of=/tmp/fill bs=1M count=$(($(/bin/busybox awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo) - 24)) 2>/dev/null
/bin/busybox rm /tmp/fill
echo GUEST-UP
round=0
while :; do
  round=$((round + 1))
  gcc -O2 -static -o /tmp/workload /sources/workload.c -lm || { echo BUILD-FAILED; break; }
  gcc -O2 -static -o /tmp/bench /sources/code.c /sources/computing.c /sources/kernel.c /sources/main.c || { echo BUILD-FAILED; break; }
  /tmp/workload
  echo "ROUND $round"
  /bin/busybox rm /tmp/workload /tmp/bench
done
exec /bin/busybox sh
