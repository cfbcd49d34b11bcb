/** One run of a program, and what it took: times by this host's clock, memory as the system counts it. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Bits, Program } from './programs.ts';

export interface Workload {
  readonly name: string;
  /** Seconds of each repetition, as if all of the work had been done. */
  readonly seconds: number[];
  readonly checksum: string;
}

export interface Measured {
  /** Seconds from the start to GUEST-UP. */
  readonly boot: number;
  readonly workloads: ReadonlyMap<string, Workload>;
  /** The longest that the guest found itself held up, in milliseconds, and how often more than 1, 5 and 20 ms. */
  readonly gaps?: { readonly longest: number; readonly above: readonly number[] };
  /** MiB that the program's processes take when all is done, beside what the guest has touched of its RAM; undefined where it cannot be told. */
  readonly memory?: number;
}

export interface Plan {
  readonly bits: Bits;
  readonly names: readonly string[];
  readonly repeat: number;
  /** Percent. */
  readonly part: number;
  /** Seconds; a run that takes longer has failed. */
  readonly limit: number;
}

/** Throws an Error that says what the guest said last, if it did not come to its end. */
export function measure(program: Program, plan: Plan): Promise<Measured> {
  const part = program.part === undefined ? plan.part : Math.min(plan.part, program.part);
  const bench = [plan.names.join(','), String(plan.repeat), String(part)];
  const append = `console=${program.console ?? 'ttyS0,115200'} quiet panic=-1 nokaslr bench=${bench[0]} repeat=${bench[1]} part=${bench[2]}`;
  const [command, args] = program.command(plan.bits, bench, append);
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const workloads = new Map<string, { name: string; seconds: number[]; checksum: string }>();
    let boot: number | undefined;
    let began = 0;
    let gaps: Measured['gaps'];
    let memory: number | undefined;
    let done = false;
    let rest = '';
    let said = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), plan.limit * 1000);
    const line = (text: string, now: number): void => {
      const words = text.trim().split(/\s+/);
      if (text.includes('GUEST-UP')) boot ??= (now - started) / 1000;
      else if (words[0] === 'RUN') began = now;
      else if (words[0] === 'GAPS') gaps = { longest: Number(words[1]), above: words.slice(2).map(Number) };
      else if (words[0] === 'DONE') {
        const name = words[1]!;
        const one = workloads.get(name) ?? { name, seconds: [], checksum: words[2]! };
        one.seconds.push(((now - began) / 1000) * (100 / part));
        if (one.checksum !== words[2]) one.checksum = 'differs';
        workloads.set(name, one);
      } else if (text.includes('GUEST-DONE')) {
        done = true;
        if (program.memory > 0) memory = beside(child.pid!, program.memory);
      }
    };
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      const now = performance.now();
      said = (said + text).slice(-2000);
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const one of lines) line(one, now);
      if (done && program.name === 'Bochs') child.kill('SIGTERM');
    });
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      if (boot === undefined || !done)
        return reject(new Error(`${program.name}: the guest did not come to its end; it said last:\n${said}`));
      resolve({ boot, workloads, gaps, memory });
    });
  });
}

/**
 * MiB that a process takes beside the guest's RAM: all that is resident, without the RAM. That is the last `ram` MiB of a mapping that is
 * large enough for it; what lies before it there (a machine's tables) counts. Linux only.
 */
function beside(pid: number, ram: number): number | undefined {
  let all = 0;
  let found = { start: 0, size: 0, resident: 0 };
  try {
    for (const entry of readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
      const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(entry)?.[1] ?? 0);
      const [size, resident] = [field('Size') / 1024, field('Rss') / 1024];
      all += resident;
      // Guard regions are large too, and empty.
      if (size >= ram && resident > found.resident) found = { start: Number.parseInt(entry, 16), size, resident };
    }
    return found.size === 0 ? undefined : all - found.resident + present(pid, found.start, found.size - ram);
  } catch {
    return undefined;
  }
}

const PAGE = 4096;

/** MiB of `length` MiB from `start` that are resident (proc(5), pagemap: bit 63 of each page's word). */
function present(pid: number, start: number, length: number): number {
  const words = Buffer.alloc(Math.round((length * 2 ** 20) / PAGE) * 8);
  const file = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    readSync(file, words, 0, words.length, (start / PAGE) * 8);
  } finally {
    closeSync(file);
  }
  let pages = 0;
  for (let at = 7; at < words.length; at += 8) pages += words[at]! >> 7;
  return (pages * PAGE) / 2 ** 20;
}
