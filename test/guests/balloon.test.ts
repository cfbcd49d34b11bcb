/** Linux as a paravirtualized guest gives memory back and takes it again (its balloon driver, by memory_op). */
import { expect, it } from 'vitest';
import { guest, missing, ringside } from './ringside.ts';

const LESS = 100_000;
const ALL = 256 * 1024;

/** Sets the target, waits until it is met, and says so. */
const aim = (target: number): string =>
  'B=/bin/busybox; T=/sys/devices/system/xen_memory/xen_memory0; ' +
  `echo ${target} > $T/target_kb; until [ "$($B cat $T/info/current_kb)" = ${target} ]; do $B sleep 1; done; ` +
  '$B grep MemTotal /proc/meminfo; echo "NOW-$($B cat $T/info/current_kb)"\n';

it.skipIf(missing('kernel64', 'initrd64.gz'))('the balloon', async () => {
  const machine = `run --technique para --memory 256M --kernel ${guest('kernel64')} --initrd ${guest('initrd64.gz')} --timeout 280`;
  const { status, stdout, stderr } = await ringside(
    [...machine.split(' '), '--append', 'console=hvc0 quiet panic=-1 nokaslr checks=0 hold=1'],
    {
      limit: 300,
      answers: [
        [/\/ # /, aim(LESS)],
        [/NOW-100000/, aim(ALL)],
        [/NOW-262144/, '/bin/busybox poweroff -f\n'],
      ],
    },
  );
  expect(stdout, stderr).toMatch(/NOW-262144/);
  const [less, all] = [...stdout.matchAll(/MemTotal: +(\d+) kB/g)].map((match) => Number(match[1]));
  expect(less).toBeLessThan(LESS);
  expect(all).toBeGreaterThan(ALL * 0.7);
  expect(status).toBe(0);
});
