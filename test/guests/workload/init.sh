#!/bin/busybox sh
# PID 1 of a test guest: says that it is up, runs the workload, powers off. `then=reboot`, `then=panic` on the kernel's command line end
# it in other ways; `hold=1` waits instead. `bench=NAMES`, `repeat=N`, `part=PERCENT` run the workloads of test/bench in its place.
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
echo GUEST-UP
checks=1 then=poweroff hold=0 bench= repeat=1 part=100
for word in $(/bin/busybox cat /proc/cmdline); do
  case "$word" in checks=* | then=* | hold=* | bench=* | repeat=* | part=*) eval "$word" ;; esac
done
echo "GUEST-KERNEL $(/bin/busybox uname -srm)"
if [ -n "$bench" ]; then
  /bench "$bench" "$repeat" "$part"
elif [ "$checks" != 0 ]; then
  /workload
fi
echo GUEST-DONE
[ "$hold" = 0 ] || exec /bin/busybox sh
case "$then" in
  reboot) /bin/busybox reboot -f ;;
  panic) echo c >/proc/sysrq-trigger ;;
  *) /bin/busybox poweroff -f ;;
esac
