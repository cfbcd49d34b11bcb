/** One VM of the library and what it is doing: the life cycle around a `Run`. Operations on one VM follow each other, never overlap. */
import { UserError, type Disk, type Execution, type HostEvents, type VmDefinition, type VmState, type VmSummary } from './api.ts';
import { monotonic } from './clock.ts';
import { executionOf } from './execution.ts';
import type { Outcome } from './executor.ts';
import type { Pool, Run } from './pool.ts';
import type { MachineSpec } from './protocol.ts';
import { Scrollback } from './scrollback.ts';
import { Sampler } from './sampler.ts';

const MIB = 1 << 20;
/** Lines of a VM's log that are kept. */
const LOG_LINES = 1000;

export interface VmOptions {
  readonly pool: Pool;
  /** Called before each start: what only the moment can tell. Throws UserErrors. */
  admit(definition: VmDefinition): Promise<void>;
  emit<K extends keyof HostEvents>(event: K, ...args: Parameters<HostEvents[K]>): void;
}

export const specOf = (definition: VmDefinition): MachineSpec => ({
  source: definition.source,
  memory: definition.memory * MIB,
  vcpus: definition.vcpus,
  cpu: definition.cpu,
  engine: definition.engine,
  technique: definition.technique,
  full: definition.full,
  para: definition.para,
  disks: definition.disks,
  serials: definition.serials,
});

export class Vm {
  definition: VmDefinition;
  readonly sampler: Sampler;
  readonly #options: VmOptions;
  #state: VmState = 'off';
  #reason: string | undefined;
  #since = new Date().toISOString();
  #run: Run | undefined;
  /** Of the run that ended last. */
  #executed: Execution | undefined;
  #log: string[] = [];
  #scrollbacks: Scrollback[] = [];
  #chain: Promise<unknown> = Promise.resolve();

  constructor(definition: VmDefinition, options: VmOptions) {
    this.definition = definition;
    this.#options = options;
    this.sampler = new Sampler(definition.id);
  }

  get state(): VmState {
    return this.#state;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  get summary(): VmSummary {
    return { definition: this.definition, state: this.#state, reason: this.#reason, since: this.#since };
  }

  get log(): readonly string[] {
    return this.#log;
  }

  execution(): Execution | undefined {
    return this.#run === undefined ? this.#executed : executionOf(this.#run, monotonic());
  }

  scrollback(port: number): Scrollback {
    return (this.#scrollbacks[port] ??= new Scrollback());
  }

  start(): Promise<void> {
    return this.#serially(async () => {
      if (this.#state !== 'off' && this.#state !== 'crashed') throw new UserError(`${this.#name} is ${WORDS[this.#state]} already.`);
      await this.#boot();
    });
  }

  pause(): Promise<void> {
    return this.#serially(async () => {
      const run = this.#running('pause');
      if (this.#state === 'paused') throw new UserError(`${this.#name} is paused already.`);
      await run.pause();
      if (run.outcome === undefined) this.#enter('paused');
    });
  }

  resume(): Promise<void> {
    return this.#serially(async () => {
      const run = this.#running('resume');
      if (this.#state !== 'paused') throw new UserError(`${this.#name} is not paused.`);
      run.go();
      this.#enter('running');
    });
  }

  reset(): Promise<void> {
    return this.#serially(async () => {
      const run = this.#running('reset');
      this.note('reset by the user');
      await run.end();
      this.#forget();
      await this.#boot();
    });
  }

  shutdown(): Promise<void> {
    return this.#serially(async () => {
      const run = this.#running('shut down');
      if (this.#state === 'paused') run.go();
      this.note('the power button was pressed');
      run.powerButton();
      this.#enter('stopping');
    });
  }

  forceOff(): Promise<void> {
    return this.#serially(async () => {
      const run = this.#running('switch off');
      await run.end();
      this.#forget();
      this.note('switched off by the user');
      this.#enter('off');
    });
  }

  /** Nothing of it runs afterwards, whatever it did. */
  off(): Promise<void> {
    return this.#serially(async () => {
      if (this.#run === undefined) return;
      await this.#run.end();
      this.#forget();
      this.#enter('off');
    });
  }

  /** Gives it a disk while it runs; resolves to the disk's name in the guest. */
  plug(disk: Disk): Promise<string> {
    return this.#options.pool.attachDisk(this.#running('attach a disk to'), disk);
  }

  /** Takes a disk away while it runs, by its path or name: resolves to its path when the guest has let go of it. */
  unplug(disk: string): Promise<string> {
    return this.#options.pool.detachDisk(this.#running('detach a disk from'), disk);
  }

  write(port: number, data: Uint8Array): void {
    if (port >= this.definition.serials) throw new UserError(`${this.#name} has no serial port ${port + 1}.`);
    this.#run?.write(port, data);
  }

  note(text: string): void {
    const line = `${new Date().toISOString()} ${text}`;
    this.#log.push(line);
    if (this.#log.length > LOG_LINES) this.#log.shift();
    this.#options.emit('log', this.definition.id, line);
  }

  get #name(): string {
    return `“${this.definition.name}”`;
  }

  #running(verb: string): Run {
    if (this.#run === undefined) throw new UserError(`${this.#name} is not running: there is nothing to ${verb}.`);
    return this.#run;
  }

  async #boot(): Promise<void> {
    const { definition } = this;
    this.#enter('starting');
    this.note(`starting with ${definition.memory} MiB and ${definition.vcpus} vCPU`);
    try {
      await this.#options.admit(definition);
      const run = await this.#options.pool.boot(specOf(definition), {
        output: (port, data) => {
          const scrollback = this.scrollback(port);
          scrollback.append(data);
          this.#options.emit('console', definition.id, port, data, scrollback.end);
        },
        note: (text) => this.note(text),
        ended: (outcome) => this.#ended(run, outcome),
      });
      this.#run = run;
      this.sampler.begin(run);
      run.go();
      this.#enter('running');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.note(`could not start: ${reason}`);
      this.#forget();
      // A mistake of the user leaves it off; a mistake of ours is a crash.
      this.#enter(error instanceof UserError ? 'off' : 'crashed', reason);
      throw error;
    }
  }

  #ended(run: Run, outcome: Outcome): void {
    run.release();
    if (this.#run !== run) return;
    this.#forget();
    switch (outcome.kind) {
      case 'power-off':
        this.note('powered off');
        return this.#enter('off');
      case 'debug-exit':
        this.note(`ended by isa-debug-exit with ${outcome.value}`);
        return this.#enter('off');
      case 'reset':
        this.note('reset by the guest');
        this.#serially(() => this.#boot()).catch(() => {
          // What went wrong is in the state and the log.
        });
        return undefined;
      case 'crash': {
        const reason = outcome.status === 'triple-fault' ? 'The guest’s processor shut down after a triple fault.' : outcome.reason;
        this.note(`crashed: ${reason}`);
        return this.#enter('crashed', reason);
      }
    }
  }

  /** The run is over: its memory can go. */
  #forget(): void {
    if (this.#run !== undefined) this.#executed = this.execution();
    this.#run = undefined;
    this.sampler.end();
  }

  #enter(state: VmState, reason?: string): void {
    this.#state = state;
    this.#reason = reason;
    this.#since = new Date().toISOString();
    this.#options.emit('change', this.definition.id, this.summary);
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#chain.then(work);
    this.#chain = result.catch(() => {});
    return result;
  }
}

const WORDS: Readonly<Record<VmState, string>> = {
  off: 'off',
  starting: 'starting',
  running: 'running',
  paused: 'running (paused)',
  saved: 'saved',
  stopping: 'shutting down',
  crashed: 'crashed',
};
