/** Runs the `ringside` command for the tests, as a user would. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where build-guests.sh puts the guests; kept between runs. */
export const FOLDER = process.env['RINGSIDE_GUESTS'] ?? path.join(tmpdir(), 'ringside-guests');
export const guest = (name: string): string => path.join(FOLDER, name);
export const missing = (...names: string[]): boolean => names.some((name) => !existsSync(guest(name)));

export const COMMAND = fileURLToPath(new URL('../../bin/ringside.mjs', import.meta.url));

export interface Outcome {
  /** Exit status; null if a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options {
  /** Ends the command (SIGTERM) once this is true of its output so far. */
  readonly until?: (stdout: string) => boolean;
  /** Written to its standard input, piece by piece, when the output so far matches. */
  readonly answers?: readonly (readonly [RegExp, string])[];
  /** Seconds; then it is killed. */
  readonly limit?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** `ringside ARGUMENTS...`: resolves when it ended. */
export function ringside(args: readonly string[], options: Options = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
    let stdout = '';
    let stderr = '';
    const answers = [...(options.answers ?? [])];
    const timer = setTimeout(() => child.kill('SIGKILL'), (options.limit ?? 60) * 1000);
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      stdout += text;
      while (answers[0]?.[0].test(stdout)) child.stdin.write(answers.shift()![1]);
      if (options.until?.(stdout)) child.kill('SIGTERM');
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // It may end before it has read everything.
    child.stdin.on('error', () => {});
    if (answers.length === 0) child.stdin.end();
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    });
  });
}
