import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guest, missing, ringside } from './ringside.ts';

/** Of Debian's packages syslinux, syslinux-common, mtools, grub-common and grub-pc-bin. */
const MBR = '/usr/lib/syslinux/mbr/mbr.bin';
const GRUB_BOOT = '/usr/lib/grub/i386-pc/boot.img';
const RESCUE = '/usr/lib/grub-rescue/grub-rescue-floppy.img';
const lacks = (...commands: string[]): boolean =>
  commands.some((command) => spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status !== 0);

const SECTOR = 512;
const SIZE = 64 << 20;
/** The one partition begins at 1 MiB. */
const START = 2048;
const PARTITION = `@@${START * SECTOR}`;

let folder: string;
const file = (name: string): string => path.join(folder, name);
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), 'ringside-disk-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (command: string, ...args: string[]): void =>
  void execFileSync(command, args, {
    cwd: folder,
    env: { ...process.env, MTOOLS_SKIP_CHECK: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });

/** A disk with one active FAT32 partition; `code` begins its first sector, `gap` comes right after that. */
function makeDisk(name: string, files: Readonly<Record<string, string>>, code: string, gap?: string): string {
  const image = Buffer.alloc(SIZE);
  readFileSync(code).copy(image, 0, 0, 440);
  if (gap !== undefined) readFileSync(gap).copy(image, SECTOR);
  const entry = image.subarray(0x1be);
  entry.set([0x80, 0x20, 0x21, 0x00, 0x0c, 0x28, 0x20, 0x08]);
  entry.writeUInt32LE(START, 8);
  entry.writeUInt32LE(SIZE / SECTOR - START, 12);
  image.set([0x55, 0xaa], 510);
  const disk = file(name);
  writeFileSync(disk, image);
  run('mformat', '-i', disk + PARTITION, '-F', '-T', String(SIZE / SECTOR - START), '-h', '255', '-s', '63', '-H', String(START), '::');
  for (const [to, from] of Object.entries(files)) run('mcopy', '-i', disk + PARTITION, from, `::${to}`);
  return disk;
}

function text(name: string, lines: readonly string[]): string {
  writeFileSync(file(name), lines.map((line) => `${line}\n`).join(''));
  return file(name);
}

const APPEND = 'console=ttyS0,115200 quiet panic=-1 nokaslr checks=0';

describe('a disk', () => {
  /** Says something, waits for a key and 200 ms, shows the key and what the second sector says, and switches off. */
  // prettier-ignore
  const PROGRAM = [
    0xbe, 0x50, 0x7c, // mov si, 7c50h
    0xe8, 0x30, 0x00, // call print
    0x30, 0xe4, 0xcd, 0x16, // xor ah, ah; int 16h
    0x50, // push ax
    0xb4, 0x86, 0xb9, 0x03, 0x00, 0xba, 0x40, 0x0d, 0xcd, 0x15, // mov ah, 86h; mov cx, 3; mov dx, 0d40h; int 15h
    0x58, 0xb4, 0x0e, 0xcd, 0x10, // pop ax; mov ah, 0eh; int 10h
    0xb8, 0x01, 0x02, 0xbb, 0x00, 0x80, 0xb9, 0x02, 0x00, 0xba, 0x80, 0x00, 0xcd, 0x13, // read cylinder 0, head 0, sector 2 to 8000h
    0x89, 0xde, 0xe8, 0x09, 0x00, // mov si, bx; call print
    0xba, 0x04, 0x06, 0xb8, 0x00, 0x34, 0xef, 0xeb, 0xfe, // mov dx, 604h; mov ax, 3400h; out dx, ax; jmp $
    // print: lodsb; test al, al; jz done; mov ah, 0eh; int 10h; jmp print; done: ret
    0xac, 0x84, 0xc0, 0x74, 0x06, 0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf5, 0xc3,
  ];

  it('runs its boot sector with the BIOS’s services', async () => {
    const image = Buffer.alloc(4 * SECTOR);
    image.set(PROGRAM);
    expect(PROGRAM.length).toBeLessThanOrEqual(0x50);
    image.write('Press a key: \0', 0x50, 'latin1');
    image.set([0x55, 0xaa], 510);
    image.write('\r\nThe second sector.\r\n\0', SECTOR, 'latin1');
    writeFileSync(file('own.img'), image);
    const { status, stdout, stderr } = await ringside(['run', '--disk', file('own.img'), '--memory', '16M'], {
      answers: [[/key: $/, 'k']],
    });
    expect(stdout, stderr).toBe('Press a key: k\r\nThe second sector.\r\n');
    expect(status, stderr).toBe(0);
  });

  it.each([
    ['without a boot signature', Buffer.alloc(1024), /signature 55 AA\.$/m],
    ['that is no whole number of sectors', Buffer.alloc(1000), /1000 bytes, is not a multiple of 512\.$/m],
    ['that is empty', Buffer.alloc(0), /is empty\.$/m],
  ])('%s is refused in one sentence', async (_what, data, sentence) => {
    writeFileSync(file('bad.img'), data);
    const { status, stdout, stderr } = await ringside(['run', '--disk', file('bad.img')]);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect([status, stdout]).toEqual([2, '']);
  });
});

describe('SYSLINUX', () => {
  it.skipIf(lacks('syslinux', 'mformat') || !existsSync(MBR) || missing('kernel64', 'initrd64.gz'))(
    'starts Linux from a FAT disk',
    async () => {
      const config = text('syslinux.cfg', [
        'SERIAL 0 115200',
        'PROMPT 1',
        'LABEL test',
        '  KERNEL kernel',
        `  APPEND initrd=initrd.gz ${APPEND}`,
      ]);
      const disk = makeDisk('syslinux.img', { 'syslinux.cfg': config, kernel: guest('kernel64'), 'initrd.gz': guest('initrd64.gz') }, MBR);
      run('syslinux', '--install', '--offset', String(START * SECTOR), disk);
      const { status, stdout, stderr } = await ringside(['run', '--disk', disk, '--memory', '256M'], {
        limit: 600,
        answers: [[/boot: $/, 'test\r']],
      });
      expect(stdout, stderr).toMatch(/SYSLINUX \d.*Copyright/);
      expect(stdout, stderr).toContain('GUEST-UP');
      expect(status, stderr).toBe(0);
    },
  );
});

describe('GRUB', () => {
  const tools = lacks('grub-mkimage', 'mformat') || !existsSync(GRUB_BOOT);
  const MODULES = ['biosdisk', 'part_msdos', 'fat', 'normal', 'linux', 'serial', 'terminal', 'echo', 'configfile', 'boot', 'halt'];
  const make = (name: string, bits: string, config: readonly string[]): string => {
    const core = file('core.img');
    run('grub-mkimage', '-O', 'i386-pc', '-o', core, '-p', '(hd0,msdos1)/', ...MODULES);
    const files = { 'grub.cfg': text('grub.cfg', config), kernel: guest(`kernel${bits}`), 'initrd.gz': guest(`initrd${bits}.gz`) };
    return makeDisk(name, files, GRUB_BOOT, core);
  };
  const entry = ['menuentry "Test Linux" {', `  linux /kernel ${APPEND}`, '  initrd /initrd.gz', '}'];

  it.skipIf(tools || missing('kernel32', 'initrd32.gz'))('starts Linux from its menu on the serial port', async () => {
    const disk = make('grub-serial.img', '32', [
      'serial --unit=0 --speed=115200',
      'terminal_input serial',
      'terminal_output serial',
      'set timeout=-1',
      ...entry,
    ]);
    const { status, stdout, stderr } = await ringside(['run', '--disk', disk, '--memory', '256M'], {
      limit: 850,
      answers: [[/for a command-line/, '\r']],
    });
    expect(stdout, stderr).toContain('GNU GRUB');
    expect(stdout, stderr).toContain('GUEST-UP');
    expect(status, stderr).toBe(0);
  });

  it.skipIf(tools || missing('kernel64', 'initrd64.gz'))('starts Linux from its menu on the screen, by arrow keys', async () => {
    const disk = make('grub-screen.img', '64', ['set timeout=30', 'menuentry "Nothing" {', '  halt', '}', ...entry]);
    const { status, stdout, stderr } = await ringside(['run', '--disk', disk, '--memory', '256M'], {
      limit: 600,
      answers: [
        [/executed automatically/, '\x1b[B'],
        [/\*Test Linux/, '\r'],
      ],
    });
    expect(stdout, stderr).toContain('GUEST-UP');
    expect(status, stderr).toBe(0);
  });

  it.skipIf(!existsSync(RESCUE))('of a rescue floppy, written to a disk, reaches its command line', async () => {
    copyFileSync(RESCUE, file('rescue.img'));
    const { stdout, stderr } = await ringside(['run', '--disk', file('rescue.img'), '--memory', '64M'], {
      limit: 120,
      answers: [
        [/executed automatically/, 'c'],
        [/grub> $/, 'echo $grub_cpu-$grub_platform\r'],
      ],
      until: (output) => output.includes('i386-pc'),
    });
    expect(stdout, stderr).toContain('i386-pc');
  });
});
