#!/bin/busybox sh
# PID 1 of a guest with block devices of its own. With an empty disk: makes a file system, writes 100 MB, and starts again; with that file system:
# compares what is there with its checksum. Then `plug=1` waits for a second disk to come and go, `reads=N` measures reads with N in flight; and it powers off.
PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /mnt
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
echo GUEST-UP
plug=0 reads=0 size=100 files=1
for word in $(cat /proc/cmdline); do
  case "$word" in plug=* | reads=* | size=* | files=*) eval "$word" ;; esac
done
for module in crc32c_generic crc16 mbcache jbd2 ext4 xen-blkfront; do
  file=/lib/modules/$(uname -r)/$module.ko
  [ -f "$file" ] && { insmod "$file" || echo "GUEST-MODULE $module"; }
done

# until CONDITION...: waits for it, at most a minute
until_true() {
  n=0
  until "$@"; do
    n=$((n + 1))
    [ $n -gt 600 ] && { echo "GUEST-WAITED $*"; return 1; }
    usleep 100000
  done
}
gone() { [ ! -e "$1" ]; }
end() {
  umount /mnt 2>/dev/null
  sync
  "$1" -f
  sleep 60
}

until_true [ -b /dev/xvda ] || end poweroff
echo "DISK-SECTORS $(cat /sys/block/xvda/size)"
if [ "$files" = 1 ]; then
  if mount -t ext2 /dev/xvda /mnt 2>/dev/null && [ -f /mnt/sum ]; then
    (cd /mnt && md5sum -c sum) && echo SUM-RIGHT || echo SUM-WRONG
    umount /mnt
  else
    mke2fs -F /dev/xvda >/dev/null && mount -t ext2 /dev/xvda /mnt || end poweroff
    dd if=/dev/urandom of=/mnt/data bs=1M count="$size" 2>/dev/null
    (cd /mnt && md5sum data >sum && cat sum)
    umount /mnt && echo DISK-WRITTEN
    end reboot
  fi
fi
if [ "$plug" = 1 ]; then
  echo PLUG-READY
  until_true [ -b /dev/xvdb ] && echo "PLUG-SUM $(md5sum </dev/xvdb) $(cat /sys/block/xvdb/ro)"
  until_true gone /sys/block/xvdb && echo PLUG-GONE
fi
[ "$reads" = 0 ] || /reads /dev/xvda "$reads"
echo GUEST-DONE
end poweroff
