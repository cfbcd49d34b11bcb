/** What of this host is looked at to find out what it can do: replaced in tests. */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import os from 'node:os';

export interface Probe {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly release: string;
  readonly cpus: number;
  readonly model: string;
  /** The text of a file, or undefined. */
  text(file: string): string | undefined;
  /** Names in a folder; none if it is not there. */
  names(folder: string): readonly string[];
  /** Opens a device for reading and writing, and closes it. Undefined: it could be; else the error's code (ENOENT, EACCES …). */
  open(device: string): string | undefined;
  /** What the kernel has said since it started, as far as this user may read it. */
  kernelLog(): string | undefined;
  /** The low 32 bits of a model-specific register of CPU 0, if this user may read it. */
  msr(index: number): number | undefined;
  /** What a program prints; undefined if it cannot be run, fails or takes longer than a few seconds. */
  run(program: string, ...args: string[]): Promise<string | undefined>;
}

/** Milliseconds. PowerShell takes one or two seconds to start. */
const PATIENCE = 8000;
/** Records of the kernel's log that are read at most. */
const RECORDS = 100_000;

export const thisHost: Probe = {
  platform: process.platform,
  arch: process.arch,
  release: os.release(),
  get cpus() {
    return os.cpus().length;
  },
  get model() {
    return os.cpus()[0]?.model.trim() ?? '';
  },
  text(file) {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  },
  names(folder) {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  },
  open(device) {
    try {
      // To ask for access is not enough: the node may be there with nothing behind it.
      closeSync(openSync(device, 'r+'));
      return undefined;
    } catch (error) {
      return codeOf(error) ?? 'EIO';
    }
  },
  kernelLog() {
    let file: number;
    try {
      file = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
    } catch {
      return this.text('/var/log/dmesg') ?? this.text('/var/log/kern.log');
    }
    try {
      const record = Buffer.alloc(8192);
      let all = '';
      for (let i = 0; i < RECORDS; i++) {
        try {
          all += record.toString('utf8', 0, readSync(file, record));
        } catch (error) {
          // EPIPE: records were overwritten before they were read; the next is the oldest that is left.
          if (codeOf(error) !== 'EPIPE') break;
        }
      }
      return all;
    } finally {
      closeSync(file);
    }
  },
  msr(index) {
    let file: number | undefined;
    try {
      file = openSync('/dev/cpu/0/msr', 'r');
      const value = Buffer.alloc(8);
      return readSync(file, value, 0, 8, index) === 8 ? value.readUInt32LE(0) : undefined;
    } catch {
      return undefined;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  },
  run: (program, ...args) =>
    new Promise((resolve) => {
      execFile(program, args, { timeout: PATIENCE, windowsHide: true, encoding: 'utf8' }, (error, stdout) =>
        resolve(error === null ? stdout : undefined),
      );
    }),
};

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
