import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitWith, forever, halted, multiboot, say, tripleFault, writeGuest } from './multiboot.ts';
import { ringside } from './ringside.ts';

let folder: string;
const file = (name: string): string => path.join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-command-'));
  writeGuest(file('exit'), exitWith(5));
  writeGuest(file('say'), say('hello\r\n', exitWith(0)));
  writeGuest(file('triple'), tripleFault);
  writeGuest(file('forever'), forever);
  writeGuest(file('halted'), halted);
  writeFileSync(file('empty'), '');
  writeFileSync(file('text'), 'This is not a kernel.\n'.repeat(200));
  mkdirSync(file('directory'));
  writeFileSync(file('truncated'), multiboot(Array.from({ length: 4000 }, () => 0x90)));
  truncateSync(file('truncated'), 0x1100);
  writeFileSync(file('big'), new Uint8Array(40 << 20));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('exit status of ringside run', () => {
  it('is (value << 1) | 1 for isa-debug-exit', async () => {
    const { status, stderr } = await ringside(['run', '--kernel', file('exit'), '--memory', '16M', '--test-devices']);
    expect(status, stderr).toBe(11);
  });

  it('is 3 for a triple fault', async () => {
    const { status, stderr } = await ringside(['run', '--kernel', file('triple'), '--memory', '16M']);
    expect(status, stderr).toBe(3);
    expect(stderr).toMatch(/triple fault/i);
  });

  it.each(['forever', 'halted'])('is 124 when the time runs out: %s', async (name) => {
    const started = performance.now();
    const { status, stderr } = await ringside(['run', '--kernel', file(name), '--memory', '16M', '--timeout', '2']);
    expect(status, stderr).toBe(124);
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});

describe('ringside run', () => {
  it('writes only the serial port to standard output', async () => {
    const { status, stdout } = await ringside(['run', '--kernel', file('say'), '--memory', '16M', '--test-devices']);
    expect(stdout).toBe('hello\r\n');
    expect(status).toBe(1);
  });

  it('writes the serial port into a file with --serial FILE', async () => {
    const { stdout } = await ringside(['run', '--kernel', file('say'), '--memory', '16M', '--test-devices', '--serial', file('log')]);
    expect(stdout).toBe('');
    expect(readFileSync(file('log'), 'latin1')).toBe('hello\r\n');
  });

  it('writes figures with --stats FILE', async () => {
    await ringside(['run', '--kernel', file('say'), '--memory', '16M', '--test-devices', '--stats', file('stats.json')]);
    const stats = JSON.parse(readFileSync(file('stats.json'), 'utf8')) as Record<string, unknown>;
    expect(stats['instructions']).toBeGreaterThanOrEqual(10);
  });
});

/** Each must end with status 2 and one line that says what and why. */
const bad: readonly (readonly [string, () => string[], RegExp])[] = [
  ['a kernel that is not there', () => ['--kernel', file('nothing')], /nothing/],
  ['a directory', () => ['--kernel', file('directory')], /director|folder/i],
  ['an empty file', () => ['--kernel', file('empty')], /empty/],
  ['a file that is no kernel', () => ['--kernel', file('text')], /not a kernel/i],
  ['a truncated kernel', () => ['--kernel', file('truncated')], /truncated|ends|cut|short/i],
  ['an initrd that is not there', () => ['--kernel', file('exit'), '--initrd', file('nothing')], /nothing/],
  ['an initrd larger than memory', () => ['--kernel', file('exit'), '--initrd', file('big'), '--memory', '32M'], /memory/i],
  ['no memory', () => ['--kernel', file('exit'), '--memory', '0'], /memory/i],
  ['too much memory', () => ['--kernel', file('exit'), '--memory', '100000G'], /memory/i],
  ['memory that is no size', () => ['--kernel', file('exit'), '--memory', 'lots'], /memory|lots/i],
  ['no vCPUs', () => ['--kernel', file('exit'), '--cpus', '0'], /vCPU|cpus/i],
  ['an unknown CPU model', () => ['--kernel', file('exit'), '--cpu', 'z80'], /z80/],
  ['an unknown CPU flag', () => ['--kernel', file('exit'), '--cpu', 'qemu64,+warp'], /warp/],
  ['an unknown engine', () => ['--kernel', file('exit'), '--engine', 'steam'], /steam|engine/i],
  ['an unknown technique', () => ['--kernel', file('exit'), '--technique', 'magic'], /magic|technique/i],
  ['an unknown option', () => ['--kernel', file('exit'), '--warp'], /warp/],
  ['no kernel', () => ['--memory', '32M', '--initrd', file('big')], /kernel/i],
  ['a disk that is not there', () => ['--kernel', file('exit'), '--disk', file('nothing')], /nothing/],
];

describe('ringside run with a mistake', () => {
  it.each(bad)('%s', async (_, args, words) => {
    const { status, stdout, stderr } = await ringside(['run', ...args(), '--timeout', '20']);
    expect(status, stderr).toBe(2);
    expect(stdout).toBe('');
    expect(stderr.trim()).toMatch(words);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toMatch(/\n\s+at |Error:/);
  });

  it('an unknown command', async () => {
    const { status, stderr } = await ringside(['fly']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/fly/);
  });

  it.skipIf(process.getuid?.() === 0)('a state folder that cannot be written', async () => {
    mkdirSync(file('locked'));
    chmodSync(file('locked'), 0o500);
    const { status, stderr } = await ringside(['list'], { env: { RINGSIDE_STATE: path.join(file('locked'), 'state') } });
    expect(status).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
