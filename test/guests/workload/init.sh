#!/bin/busybox sh
# PID 1 of a test guest: says that it is up, runs the workload, powers off. `then=reboot`, `then=panic` on the kernel's command line end
# it in other ways; `hold=1` waits instead.
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
echo GUEST-UP
checks=1 then=poweroff hold=0
for word in $(/bin/busybox cat /proc/cmdline); do
  case "$word" in checks=* | then=* | hold=*) eval "$word" ;; esac
done
echo "GUEST-KERNEL $(/bin/busybox uname -srm)"
[ "$checks" = 0 ] || /workload
echo GUEST-DONE
[ "$hold" = 0 ] || exec /bin/busybox sh
case "$then" in
  reboot) /bin/busybox reboot -f ;;
  panic) echo c >/proc/sysrq-trigger ;;
  *) /bin/busybox poweroff -f ;;
esac
