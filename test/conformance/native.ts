/** Runs instructions on the CPU under us, through native/runner.c. Linux on x86 with gcc (and gcc-multilib for 32 bit) only. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { IMAGE, type Mode } from './image.ts';

export interface Job {
  readonly code: Uint8Array;
  readonly images: readonly Uint8Array[];
}

export interface Native {
  /** The images after each run, in order. */
  run(mode: Mode, jobs: readonly Job[]): Uint8Array[][];
  close(): void;
}

/** Compiles the runners into a temporary folder. Throws with the compiler's words if it cannot. */
export function buildNative(): Native {
  const folder = mkdtempSync(path.join(tmpdir(), 'conformance-'));
  const source = fileURLToPath(new URL('native/runner.c', import.meta.url));
  for (const mode of [64, 32]) {
    const made = spawnSync(
      'gcc',
      ['-O1', `-m${mode}`, '-static', '-no-pie', '-fno-pie', '-o', path.join(folder, `runner${mode}`), source],
      { encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`gcc -m${mode}: ${made.stderr ?? made.error?.message}`);
  }
  return {
    run(mode, jobs) {
      const parts: Uint8Array[] = [];
      let runs = 0;
      for (const { code, images } of jobs) {
        const head = Buffer.alloc(24);
        head.writeUInt32LE(code.length, 0);
        head.writeUInt32LE(images.length, 4);
        head.set(code, 8);
        parts.push(head, ...images);
        runs += images.length;
      }
      const { status, signal, stdout } = spawnSync(path.join(folder, `runner${mode}`), {
        input: Buffer.concat(parts),
        maxBuffer: runs * IMAGE + 1,
      });
      if (status !== 0 || stdout.length !== runs * IMAGE)
        throw new Error(`the native runner ended with ${signal ?? status} after ${stdout.length / IMAGE} of ${runs} runs`);
      let at = 0;
      return jobs.map(({ images }) => images.map(() => Uint8Array.from(stdout.subarray(at, (at += IMAGE)))));
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
