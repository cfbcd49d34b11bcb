/**
 * A guest that compiles for half an hour (RINGSIDE_SOAK_MINUTES: for how long): what it makes computes what it should, and the memory that the
 * process has beside the guest's stays what it is.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { guest, missing } from '../guests/ringside.ts';

const MINUTES = Number(process.env['RINGSIDE_SOAK_MINUTES'] ?? 30);
/** MiB. */
const RAM = 768;
/** MiB that the second half's mean may be above the first's: what a heap does between two collections. */
const GROWTH = 16;
const COMMAND = fileURLToPath(new URL('../../bin/ringside.mjs', import.meta.url));
const TOOLCHAIN = 'toolchain64.gz';

if (process.platform === 'linux' && !existsSync(guest(TOOLCHAIN)))
  try {
    execFileSync('bash', [fileURLToPath(new URL('build-toolchain.sh', import.meta.url)), guest('')], { stdio: 'ignore' });
  } catch {
    // Skipped by name.
  }

/** MiB resident. */
const resident = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

it.skipIf(missing('kernel64', 'workload64', TOOLCHAIN))(
  `compiles in a guest for ${MINUTES} minutes, in memory that does not grow`,
  async () => {
    const expected = execFileSync(guest('workload64'), { encoding: 'utf8' }).match(/CHECK \S+ [0-9a-f]{8}/g);
    const append = 'console=ttyS0,115200 quiet panic=-1 nokaslr';
    const args = ['run', '--kernel', guest('kernel64'), '--initrd', guest(TOOLCHAIN), '--append', append, '--memory', `${RAM}M`];
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
    const ended = new Promise((resolve) => child.on('close', resolve));
    try {
      const rounds = (): string[] => output.split(/ROUND \d+/).slice(0, -1);
      for (const end = Date.now() + 600_000; rounds().length === 0 && Date.now() < end;) await sleep(1000);
      expect(rounds().length, output).toBeGreaterThan(0);
      const samples: number[] = [];
      for (const end = Date.now() + MINUTES * 60_000; Date.now() < end && child.exitCode === null;) {
        samples.push(resident(child.pid!) - RAM);
        await sleep(Math.min(10_000, MINUTES * 6_000));
      }
      const half = samples.length >> 1;
      const [first, second] = [mean(samples.slice(0, half)), mean(samples.slice(half))];
      console.log(
        `${rounds().length} rounds; MiB beside the guest's RAM: ${first.toFixed(0)}, then ${second.toFixed(0)}, at most ${Math.max(...samples).toFixed(0)}`,
      );
      expect(child.exitCode).toBeNull();
      expect(output).not.toContain('BUILD-FAILED');
      for (const round of rounds()) expect(round.match(/CHECK \S+ [0-9a-f]{8}/g)).toEqual(expected);
      expect(second - first).toBeLessThan(GROWTH);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  },
  (MINUTES + 15) * 60_000,
);
