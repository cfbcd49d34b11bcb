/** GRUB as a paravirtualized guest: a second implementation of the interface's other side, with a loader that starts another kernel in its place. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guest, missing, ringside } from './ringside.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), 'ringside-para-grub-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SIZE = 64 << 20;
const run = (command: string, ...args: string[]): void => void execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
const args = ['run', '--technique', 'para', '--kernel', guest('grub-xen.bin'), '--memory', '256M'];

/** A FAT file system that fills the disk. */
function makeDisk(files: Readonly<Record<string, string>>): string {
  const disk = path.join(folder, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, SIZE);
  run('mformat', '-i', disk, '-F', '-T', String(SIZE / 512), '-h', '255', '-s', '63', '::');
  run('mmd', '-i', disk, '::/boot', '::/boot/grub');
  for (const [to, from] of Object.entries(files)) run('mcopy', '-i', disk, from, `::${to}`);
  return disk;
}

describe.skipIf(missing('grub-xen.bin'))('GRUB, paravirtualized', () => {
  it('comes to its prompt, and switches off', async () => {
    const { status, stdout, stderr } = await ringside([...args], {
      limit: 300,
      answers: [
        [/grub> $/, 'ls\r'],
        [/\(proc\)[^]*grub> $/, 'halt\r'],
      ],
    });
    expect(stdout, stderr).toContain('Welcome to GRUB!');
    expect(stdout, stderr).toMatch(/\(memdisk\)/);
    expect(status, stderr).toBe(0);
  });

  const tools = spawnSync('sh', ['-c', 'command -v mformat'], { stdio: 'ignore' }).status !== 0;
  it.skipIf(tools || missing('kernel64general', 'initrd64.gz'))('starts Linux from a paravirtualized disk', async () => {
    const configuration = path.join(folder, 'grub.cfg');
    const append = 'console=hvc0 quiet panic=-1 nokaslr checks=0';
    writeFileSync(configuration, `linux /vmlinuz ${append}\ninitrd /initrd.gz\nboot\n`);
    const disk = makeDisk({
      '/boot/grub/grub.cfg': configuration,
      '/vmlinuz': guest('kernel64general'),
      '/initrd.gz': guest('initrd64.gz'),
    });
    const { status, stdout, stderr } = await ringside([...args, '--disk', disk], { limit: 600 });
    expect(stdout, stderr).toContain('Reading (xen/xvda)/boot/grub/grub.cfg');
    expect(stdout, stderr).toContain('GUEST-DONE');
    expect(status, stderr).toBe(0);
  });
});
