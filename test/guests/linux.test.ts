import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { guest, missing, ringside } from './ringside.ts';

const checks = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => /CHECK \S+ [0-9a-f]{8}/.exec(line)?.[0])
    .filter((line) => line !== undefined);

/** What the same binary prints on the bare host. */
const native = (bits: string): string[] => checks(execFileSync(guest(`workload${bits}`), { encoding: 'utf8' }));

describe.each([
  { kernel: 'kernel32', bits: '32', how: 'bare' },
  { kernel: 'kernel64', bits: '64', how: 'bare' },
  { kernel: 'kernel64general', bits: '64', how: 'bare' },
  { kernel: 'kernel32', bits: '32', how: 'full' },
  { kernel: 'kernel64', bits: '64', how: 'full' },
  { kernel: 'kernel64general', bits: '64', how: 'full' },
  { kernel: 'kernel64', bits: '64', how: 'para' },
  { kernel: 'kernel64general', bits: '64', how: 'para' },
])('Linux: $kernel, $how', ({ kernel, bits, how }) => {
  const initrd = `initrd${bits}.gz`;

  it.skipIf(missing(kernel, initrd, `workload${bits}`))('boots, computes what the bare host does, and powers off', async () => {
    const stats = path.join(tmpdir(), `ringside-stats-${kernel}-${process.pid}.json`);
    const append = `console=${how === 'para' ? 'hvc0' : 'ttyS0,115200'} quiet panic=-1 nokaslr`;
    const args = ['run', '--kernel', guest(kernel), '--initrd', guest(initrd), '--append', append, '--memory', '256M', '--stats', stats];
    const technique = how === 'bare' ? [] : ['--technique', how];
    const { status, stdout, stderr } = await ringside([...args, ...technique], { limit: 850 });
    expect(stdout, stderr).toContain('GUEST-UP');
    expect(checks(stdout)).toEqual(native(bits));
    expect(stdout).toContain('GUEST-DONE');
    expect(status, stderr).toBe(0);
    const figures = JSON.parse(readFileSync(stats, 'utf8')) as { mips: number; exits: Record<string, { count: number }> };
    expect(figures).toHaveProperty('mips');
    // At ring 1 its kernel leaves for what it must not do itself, and a paravirtualized one asks; bare, never for these.
    for (const reason of ['trap-flags', 'trap-system-call', 'callout-flags', 'callout-transfer', 'reflected-exception', 'shadow-fill'])
      expect(figures.exits[reason]!.count > 100, reason).toBe(how === 'full');
    for (const reason of ['hypercall', 'bounced-exception', 'bounced-system-call', 'event-upcall', 'page-table-write'])
      expect(figures.exits[reason]!.count > 100, reason).toBe(how === 'para');
  });
});

describe('a kernel without the interface', () => {
  it.skipIf(missing('kernel32'))('is refused in a sentence', async () => {
    const { status, stderr } = await ringside(['run', '--technique', 'para', '--kernel', guest('kernel32')]);
    expect(stderr).toBe(`ringside: ${guest('kernel32')} is a 32-bit kernel; only 64-bit ones can be paravirtualized here.\n`);
    expect(status).toBe(2);
  });

  it.skipIf(missing('memtest64.bin'))('says so if it is no Linux either', async () => {
    const { status, stderr } = await ringside(['run', '--technique', 'para', '--kernel', guest('memtest64.bin')]);
    expect(stderr).toMatch(
      /^ringside: .*memtest64\.bin has a bzImage's header and no kernel packed in it: nothing that can be paravirtualized\.\n$/,
    );
    expect(status).toBe(2);
  });
});

describe.each([
  { how: 'bare', console: 'ttyS0,115200', technique: [] },
  { how: 'para', console: 'hvc0', technique: ['--technique', 'para'] },
])('Linux: its console and its ends, $how', ({ how, console, technique }) => {
  const absent = missing('kernel64', 'initrd64.gz');
  const args = (...parameters: readonly string[]): string[] => {
    const append = [`console=${console}`, 'quiet panic=-1 nokaslr checks=0', ...parameters].join(' ');
    const system = ['--kernel', guest('kernel64'), '--initrd', guest('initrd64.gz'), '--append', append];
    return ['run', ...technique, ...system, '--memory', '256M'];
  };
  const starts = (stdout: string): number => stdout.split('GUEST-UP').length - 1;

  it.skipIf(absent)('answers what is typed at its console', async () => {
    const { status, stdout, stderr } = await ringside(args('hold=1'), {
      limit: 600,
      answers: [
        // The shell may ask where the cursor is behind its prompt.
        [/GUEST-DONE[^]*# (.\[6n)?$/, '/bin/busybox expr 6 \\* 7\n'],
        [/\n42\r?\n[^]*# (.\[6n)?$/, '/bin/busybox poweroff -f\n'],
      ],
    });
    expect(stdout, stderr).toMatch(/\n42\r?\n/);
    expect(status, stderr).toBe(0);
  });

  it.skipIf(absent)('starts again after a reboot', async () => {
    const { stdout, stderr } = await ringside(args('then=reboot'), { limit: 600, until: (output) => starts(output) >= 2 });
    expect(starts(stdout), stderr).toBeGreaterThanOrEqual(2);
  });

  it.skipIf(absent || how !== 'bare')('starts again after a panic', async () => {
    const { stdout, stderr } = await ringside(args('then=panic'), { limit: 600, until: (output) => starts(output) >= 2 });
    expect(starts(stdout), stderr).toBeGreaterThanOrEqual(2);
  });

  // Xen's interface has a word for it: the VM is not started again.
  it.skipIf(absent || how !== 'para')('says that it crashed, after a panic', async () => {
    const { status, stdout, stderr } = await ringside(args('then=panic'), { limit: 600 });
    expect(starts(stdout), stderr).toBe(1);
    expect(stderr).toContain('The guest’s kernel reported that it crashed.');
    expect(status).not.toBe(0);
  });
});
