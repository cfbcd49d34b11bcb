/** The built-in guest at its prompt: gets commands, and its counters are read when it is idle again. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HALTED } from '../../vmm/account.ts';
import { monotonic } from '../clock.ts';
import type { Outcome } from '../executor.ts';
import type { Pool, Run } from '../pool.ts';
import type { MachineSpec } from '../protocol.ts';
import type { Failure } from './table.ts';

const MEMORY = 32 << 20;
/** Bytes of the disk of a para guest. */
const DISK = 1 << 20;
const PROMPT = /corner> $/;
/** Milliseconds between looks. */
const INTERVAL = 2;
/** Seconds that a boot or a command may take. */
const PATIENCE = 60;

/** The guest did not do what it was asked to. */
export class GuestFailure extends Error {
  readonly failure: Failure;
  constructor(failure: Failure, message: string) {
    super(message);
    this.failure = failure;
  }
}

/** What a vCPU had done at some moment, since it was switched on. */
export interface Counters {
  /** Seconds on a pCPU. */
  readonly running: number;
  /** By reason, as many as there were; of a para guest hypercalls by their names. */
  readonly exits: Readonly<Record<string, number>>;
  /** Hypercalls that were entries of multicalls. */
  readonly batched: Readonly<Record<string, number>>;
  readonly privileged: number;
  readonly sensitive: number;
}

/** How a guest is run. */
export type LabTechnique = Pick<MachineSpec, 'technique' | 'full' | 'para'>;

export class LabGuest {
  #run: Run | undefined;
  #text = '';
  #folder: string | undefined;
  #outcome: Outcome | undefined;

  /** Boots it up to its prompt. Throws a GuestFailure, or what the signal was aborted with. */
  async boot(pool: Pool, technique: LabTechnique, signal?: AbortSignal): Promise<void> {
    const disks = technique.technique === 'para' ? [{ path: await this.#disk() }] : [];
    const run = await pool.boot(
      {
        source: { kind: 'builtin', append: 'quiet' },
        memory: MEMORY,
        vcpus: 1,
        engine: 'translator',
        disks,
        serials: 1,
        ...technique,
      },
      {
        output: (_port, data) => (this.#text += new TextDecoder('latin1').decode(data)),
        note: () => {},
        ended: (outcome) => (this.#outcome = outcome),
      },
    );
    this.#run = run;
    run.go();
    await this.#idle(signal);
  }

  /** Gives it a line; resolves to what it said, and what it had done by the time that it was idle again. */
  async command(line: string, signal?: AbortSignal): Promise<{ readonly said: string; readonly counters: Counters }> {
    this.#text = '';
    this.#run!.write(0, new TextEncoder().encode(`${line}\n`));
    await this.#idle(signal);
    return { said: this.#text, counters: this.counters() };
  }

  counters(): Counters {
    const run = this.#run!;
    const { guestUser, guestKernel, vmm, exits } = run.block.accounts[0]!.totals(monotonic());
    const { privileged, sensitive } = run.window.retired(0);
    const counts: Record<string, number> = {};
    for (const [reason, { count }] of Object.entries(exits)) counts[reason] = count;
    const batched: Record<string, number> = {};
    const calls = run.window.para()?.calls;
    if (calls !== undefined) {
      delete counts['hypercall'];
      for (const [name, call] of Object.entries(calls)) {
        counts[name] = call.count - call.batched;
        batched[name] = call.batched;
      }
    }
    return { running: guestUser + guestKernel + vmm, exits: counts, batched, privileged, sensitive };
  }

  async end(): Promise<void> {
    await this.#run?.end();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  async #disk(): Promise<string> {
    this.#folder = await mkdtemp(path.join(os.tmpdir(), 'ringside-lab-'));
    const disk = path.join(this.#folder, 'disk.img');
    await writeFile(disk, new Uint8Array(DISK));
    return disk;
  }

  /** At the prompt, and halted: all that it did is charged then. */
  async #idle(signal?: AbortSignal): Promise<void> {
    const account = this.#run!.block.accounts[0]!;
    for (const end = monotonic() + PATIENCE; monotonic() < end; await sleep(INTERVAL)) {
      signal?.throwIfAborted();
      if (this.#outcome !== undefined) throw failureOf(this.#outcome);
      if (PROMPT.test(this.#text) && account.state === HALTED) return;
    }
    throw new GuestFailure('silent', `The guest did not come to its prompt within ${PATIENCE} s; it said last: ${this.#text.slice(-200)}`);
  }
}

function failureOf(outcome: Outcome): GuestFailure {
  if (outcome.kind !== 'crash') return new GuestFailure('crash', 'The guest switched itself off.');
  if (outcome.status === 'triple-fault') return new GuestFailure('triple-fault', 'The guest’s processor shut down after a triple fault.');
  return new GuestFailure('crash', `The VM crashed: ${outcome.reason}`);
}
