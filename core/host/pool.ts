/** The pCPUs of this process: worker threads that run vCPUs of any VM, and the level-1 scheduling over them. */
import { Worker } from 'node:worker_threads';
import { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Policy } from '../scheduler/policy.ts';
import { BLOCKED, HALTED, READY } from '../vmm/account.ts';
import type { DiskCount } from '../vmm/para/block/statistics.ts';
import type { ParaStatistics } from '../vmm/para/statistics.ts';
import { noLooks, type Looks, type Watched } from './activity.ts';
import { UserError, type Disk, type TranslationStatistics } from './api.ts';
import { PcpuBlock, REQUEST_PAUSE, REQUEST_POWER_BUTTON, VmBlock } from './block.ts';
import { milliseconds, monotonic } from './clock.ts';
import { CompilerThread } from './compiler.ts';
import { IoThread } from './io.ts';
import type { Outcome } from './executor.ts';
import { reclaim } from './reclaim.ts';
import type { FromPcpu, MachineSpec, OpcodeCounts, ToPcpu, VmKey, WorkerData } from './protocol.ts';

/** What the host's side of a machine's memory can do, without running anything. */
export interface MachineWindow {
  /** Takes the output of a serial port that has come since; undefined if none. */
  drain(port: number): Uint8Array | undefined;
  /** Gives input to a serial port; returns the number of bytes taken. */
  write(port: number, data: Uint8Array): number;
  /** Makes vCPU `cpu` leave guest execution soon. */
  kick(cpu: number): void;
  /** ACTIVITY_*: what vCPU `cpu` does now. */
  activity(cpu: number): number;
  retired(cpu: number): Retired;
  translation(): TranslationStatistics;
  /** Other threads have left events for a vCPU. */
  posted(): boolean;
  /** Of the technique `para`: since it was switched on. */
  para(): ParaStatistics | undefined;
  /** Of its block devices, by name. */
  disks(): Readonly<Record<string, DiskCount>> | undefined;
}

/** What a vCPU's engine counts beside instructions. */
export interface Retired {
  readonly privileged: number;
  readonly sensitive: number;
  /** How often a budget ended in interpreted, and in translated code. */
  readonly endedInterpreted: number;
  readonly endedTranslated: number;
}

export interface PoolOptions {
  readonly pcpus: number;
  readonly policy: Policy<Vcpu>;
  /** The module that calls `serve`. */
  readonly worker: URL;
  readonly modules: WorkerData['modules'];
  /** Makes the memory of a machine and the window on it. */
  memory(spec: MachineSpec): { memory: WebAssembly.Memory; window: MachineWindow };
  /** The module of the compiler's thread; absent: there is none, and pCPUs compile themselves. */
  readonly compiler?: URL;
  /** The module of the I/O thread; absent: there is none, and pCPUs serve block devices of paravirtualized VMs themselves. */
  readonly io?: URL;
  /** A thing that should not happen, for the host's own log. */
  warn?(text: string): void;
}

export interface RunListener {
  output(port: number, data: Uint8Array): void;
  note(text: string): void;
  ended(outcome: Outcome): void;
}

export interface Vcpu {
  readonly run: Run;
  readonly index: number;
}

interface Pcpu {
  readonly index: number;
  readonly worker: Worker;
  readonly block: PcpuBlock;
  /** VMs that have been opened there. */
  readonly open: Set<VmKey>;
  /** It said something: it came up. */
  answered: boolean;
}

/** Milliseconds that a pCPU has to give a vCPU back before it is taken for stuck and replaced. */
const PATIENCE = 5000;
/** MiB: a pCPU's JavaScript heap. Machine memories are not part of it. */
const HEAP = 512;
const FAILURES_MAX = 8;
/** Index of a thread that only loads a system. */
const LOADER = -1;

/** A VM that is on: its memory, its vCPUs and their accounts. */
export class Run implements Watched {
  readonly key: VmKey;
  readonly spec: MachineSpec;
  readonly block: VmBlock;
  readonly vcpus: readonly Vcpu[];
  readonly listener: RunListener;
  readonly window: MachineWindow;
  readonly memory: WebAssembly.Memory;
  readonly looks: readonly Looks[];
  outcome: Outcome | undefined;
  /** By pCPU: opcodes that were not implemented. */
  readonly opcodes = new Map<number, OpcodeCounts>();
  readonly rtcStart = Date.now();
  paused = true;
  readonly #pool: Pool;
  #pausedAt: number;
  #input: { port: number; data: Uint8Array }[] = [];
  #retry: NodeJS.Timeout | undefined;

  constructor(
    pool: Pool,
    key: VmKey,
    spec: MachineSpec,
    parts: { memory: WebAssembly.Memory; window: MachineWindow },
    listener: RunListener,
  ) {
    this.#pool = pool;
    this.key = key;
    this.spec = spec;
    this.memory = parts.memory;
    this.window = parts.window;
    this.listener = listener;
    this.block = VmBlock.create(spec.vcpus);
    this.vcpus = Array.from({ length: spec.vcpus }, (_, index) => ({ run: this, index }));
    this.looks = this.vcpus.map(noLooks);
    this.#pausedAt = milliseconds();
    // Loading takes a while, and devices are set up by the clock meanwhile: guest time must not have passed then.
    this.block.epoch = Infinity;
    for (const account of this.block.accounts) account.clear(BLOCKED, this.#pausedAt / 1000);
  }

  /** Lets it run (the first time, or on from a pause). */
  go(): void {
    if (!this.paused || this.outcome !== undefined) return;
    this.paused = false;
    // Guest time stood still meanwhile, and begins the first time.
    const now = milliseconds();
    this.block.epoch = this.block.epoch === Infinity ? now : this.block.epoch + now - this.#pausedAt;
    this.block.withdraw(REQUEST_PAUSE);
    this.#pool.wake(this);
  }

  /** Resolves when no vCPU of it runs any more. */
  async pause(): Promise<void> {
    if (this.paused || this.outcome !== undefined) return;
    this.paused = true;
    this.block.request(REQUEST_PAUSE);
    await this.#pool.stop(this);
    this.#pausedAt = milliseconds();
  }

  activity(cpu: number): number {
    return this.window.activity(cpu);
  }

  /** Input of a serial port. What does not fit yet follows when there is room. */
  write(port: number, data: Uint8Array): void {
    if (this.outcome !== undefined) return;
    this.#input.push({ port, data });
    this.#feed();
  }

  #feed(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    let given = false;
    for (let first = this.#input[0]; first !== undefined; first = this.#input[0]) {
      const taken = this.window.write(first.port, first.data);
      given ||= taken > 0;
      if (taken === first.data.length) {
        this.#input.shift();
      } else {
        this.#input[0] = { port: first.port, data: first.data.subarray(taken) };
        if (this.outcome === undefined) this.#retry = setTimeout(() => this.#feed(), 5);
        break;
      }
    }
    if (given) this.#pool.kick(this);
  }

  /** Presses the ACPI power button. */
  powerButton(): void {
    this.block.request(REQUEST_POWER_BUTTON);
    this.#pool.kick(this);
  }

  /** Switches it off: resolves when nothing of it runs any more. `ended` is not told. */
  async end(): Promise<void> {
    if (this.outcome === undefined) {
      this.outcome = { kind: 'power-off' };
      this.block.request(REQUEST_PAUSE);
      await this.#pool.stop(this);
    }
    this.release();
  }

  /** Opcodes that the guest used and that are not implemented: how often decoded. */
  undefinedOpcodes(): Map<string, number> {
    const all = new Map<string, number>();
    for (const counts of this.opcodes.values()) {
      for (const [name, count] of Object.entries(counts)) all.set(name, (all.get(name) ?? 0) + count);
    }
    return all;
  }

  /** Takes output out of the rings. */
  drain(): void {
    this.block.clearOutput();
    for (let port = 0; port < this.spec.serials; port++) {
      const data = this.window.drain(port);
      if (data !== undefined) this.listener.output(port, data);
    }
  }

  release(): void {
    clearTimeout(this.#retry);
    this.#input = [];
    this.#pool.release(this);
  }
}

interface Waiter {
  readonly run: Run;
  resolve(): void;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #dispatcher: Dispatcher<Vcpu>;
  readonly #pcpus = new Map<number, Pcpu>();
  readonly #runs = new Map<VmKey, Run>();
  readonly #alarms = new Map<Vcpu, NodeJS.Timeout>();
  readonly #compiler: CompilerThread | undefined;
  readonly #io: IoThread | undefined;
  readonly #booting = new Map<VmKey, { thread: Pcpu; resolve(): void; reject(error: unknown): void }>();
  #waiters: Waiter[] = [];
  /** vCPUs that were nudged since they last came off a pCPU. */
  readonly #nudged = new WeakSet<Vcpu>();
  #nextKey = 1;
  #failures = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#dispatcher = new Dispatcher<Vcpu>(options.policy, {
      run: (pcpu, vcpu, slice) => this.#start(pcpu, vcpu, slice),
      press: (pcpu, on) => {
        const block = this.#pcpus.get(pcpu)!.block;
        block.pressed = on;
        // One that only waits is to give back at once.
        if (on) block.ring();
      },
      alarm: (vcpu, deadline) => {
        clearTimeout(this.#alarms.get(vcpu));
        const alarm = setTimeout(() => this.#wake(vcpu), Math.max(1, (deadline - monotonic()) * 1000));
        this.#alarms.set(vcpu, alarm);
      },
    });
    this.#compiler =
      options.compiler &&
      new CompilerThread({
        module: options.compiler,
        note: (vm, text) => this.#runs.get(vm)?.listener.note(text),
        warn: (text) => options.warn?.(text),
      });
    this.#io =
      options.io &&
      new IoThread({
        module: options.io,
        modules: options.modules,
        note: (vm, text) => this.#runs.get(vm)?.listener.note(text),
        wake: (vm) => {
          const run = this.#runs.get(vm);
          if (run) this.kick(run);
        },
        warn: (text) => options.warn?.(text),
      });
    for (let index = 0; index < options.pcpus; index++) this.#spawn(index);
  }

  get pcpus(): number {
    return this.#options.pcpus;
  }

  get policy(): string {
    return this.#options.policy.name;
  }

  /** Builds a machine and loads its system; it does not run yet. Throws UserErrors. */
  async boot(spec: MachineSpec, listener: RunListener): Promise<Run> {
    let parts: ReturnType<PoolOptions['memory']>;
    try {
      parts = this.#options.memory(spec);
    } catch (error) {
      if (error instanceof RangeError) {
        throw new UserError(
          `This host could not give the VM ${Math.round(spec.memory / (1 << 20))} MiB of memory (${error.message}).`,
          'memory',
        );
      }
      throw error;
    }
    const run = new Run(this, this.#nextKey++, spec, parts, listener);
    this.#runs.set(run.key, run);
    if ((spec.engine ?? 'translator') === 'translator') this.#compiler?.attach(run.key, run.memory);
    if (spec.technique === 'para') this.#io?.attach(run.key, { memory: run.memory, block: run.block.buffer });
    // Loading takes a while: on a pCPU that has nothing to do, or on a thread of its own.
    const idle = this.#idle();
    const loader = idle ?? this.#thread(LOADER);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#booting.set(run.key, { thread: loader, resolve, reject });
        this.#open(loader, run, true);
      });
    } catch (error) {
      run.outcome = { kind: 'power-off' };
      run.release();
      throw error;
    } finally {
      this.#booting.delete(run.key);
      if (idle === undefined) void loader.worker.terminate();
    }
    return run;
  }

  wake(run: Run): void {
    for (const vcpu of run.vcpus) this.#wake(vcpu);
  }

  /** Makes the VM look for requests and input soon. */
  kick(run: Run): void {
    for (const vcpu of run.vcpus) {
      const pcpu = this.#dispatcher.pcpuOf(vcpu);
      if (pcpu !== undefined) this.#nudge(vcpu, pcpu);
      else if (!run.paused && run.outcome === undefined) this.#wake(vcpu);
    }
  }

  /** Takes all vCPUs of a run off their pCPUs; resolves when they are. */
  async stop(run: Run): Promise<void> {
    for (const vcpu of run.vcpus) {
      clearTimeout(this.#alarms.get(vcpu));
      this.#alarms.delete(vcpu);
      const pcpu = this.#dispatcher.pcpuOf(vcpu);
      if (pcpu !== undefined) {
        this.#nudge(vcpu, pcpu);
      } else {
        this.#dispatcher.block(vcpu);
        run.block.accounts[vcpu.index]!.enter(BLOCKED, monotonic());
      }
    }
    if (this.#isOff(run)) return;
    await new Promise<void>((resolve) => {
      const stuck = setTimeout(() => {
        for (const vcpu of run.vcpus) {
          const pcpu = this.#dispatcher.pcpuOf(vcpu);
          if (pcpu !== undefined) void this.kill(pcpu, 'it did not answer');
        }
      }, PATIENCE);
      this.#waiters.push({
        run,
        resolve: () => {
          clearTimeout(stuck);
          resolve();
        },
      });
    });
  }

  /** Forgets a run that is off. */
  release(run: Run): void {
    if (!this.#runs.delete(run.key)) return;
    this.#compiler?.detach(run.key);
    this.#io?.detach(run.key);
    run.drain();
    for (const vcpu of run.vcpus) {
      clearTimeout(this.#alarms.get(vcpu));
      this.#alarms.delete(vcpu);
      this.#dispatcher.forget(vcpu);
    }
    for (const pcpu of this.#pcpus.values()) {
      if (!pcpu.open.delete(run.key)) continue;
      this.#send(pcpu, { type: 'close', vm: run.key });
      // One in the middle of a turn reads no messages, and would keep the memory.
      pcpu.block.summon();
    }
    reclaim();
  }

  /** Gives a VM that runs a disk; resolves to its name there. Throws UserErrors. */
  attachDisk(run: Run, disk: Disk): Promise<string> {
    return this.#hotPlug(run).plug(run.key, disk);
  }

  /** Takes it away, by its path or its name there; resolves to its path when the guest has let go of it. Throws UserErrors. */
  detachDisk(run: Run, disk: string): Promise<string> {
    return this.#hotPlug(run).unplug(run.key, disk);
  }

  #hotPlug(run: Run): IoThread {
    if (run.spec.technique === 'para' && this.#io) return this.#io;
    throw new UserError('Only a VM of the technique "para" can be given disks, and lose them, while it runs.', 'disk');
  }

  /** Ends a pCPU's thread. The VM that was running on it crashes; a new thread takes its place. */
  async kill(pcpu: number, why = 'it was killed'): Promise<void> {
    const found = this.#pcpus.get(pcpu);
    if (found === undefined) return;
    this.#lost(found, why);
    await found.worker.terminate();
  }

  /** The pCPU that runs the first vCPU of `run` now, if any. */
  pcpuOf(run: Run): number | undefined {
    return this.#dispatcher.pcpuOf(run.vcpus[0]!);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const run of this.#runs.values()) {
      run.outcome ??= { kind: 'power-off' };
      run.block.request(REQUEST_PAUSE);
    }
    for (const alarm of this.#alarms.values()) clearTimeout(alarm);
    await Promise.all([this.#compiler?.close(), this.#io?.close(), ...[...this.#pcpus.values()].map((pcpu) => pcpu.worker.terminate())]);
    this.#pcpus.clear();
    this.#runs.clear();
  }

  #spawn(index: number): void {
    const pcpu = this.#thread(index);
    this.#pcpus.set(index, pcpu);
    this.#io?.pcpu(index, pcpu.block.buffer);
    this.#dispatcher.addPcpu(index, monotonic());
  }

  #thread(index: number): Pcpu {
    const block = new PcpuBlock();
    const workerData: WorkerData = {
      pcpu: index,
      block: block.buffer,
      modules: this.#options.modules,
      compiler: this.#compiler?.bell.buffer,
      io: this.#io?.bell.buffer,
    };
    const worker = new Worker(this.#options.worker, {
      workerData,
      name: index === LOADER ? 'loader' : `pCPU ${index}`,
      // A young generation of the default size would cost every thread some 10 MiB for nothing: little garbage is made there.
      resourceLimits: { maxOldGenerationSizeMb: HEAP, maxYoungGenerationSizeMb: 3 },
    });
    const pcpu: Pcpu = { index, worker, block, open: new Set(), answered: false };
    worker.on('message', (message: FromPcpu) => this.#receive(pcpu, message));
    worker.on('error', (error) => this.#lost(pcpu, error.message));
    worker.on('exit', (code) => this.#lost(pcpu, `its thread ended with status ${code}`));
    return pcpu;
  }

  /** A thread is gone or given up. */
  #lost(pcpu: Pcpu, why: string): void {
    if (this.#closed) return;
    for (const booting of this.#booting.values()) {
      if (booting.thread === pcpu) booting.reject(new Error(`The thread that loaded the system failed: ${why}.`));
    }
    if (this.#pcpus.get(pcpu.index) !== pcpu) return;
    this.#pcpus.delete(pcpu.index);
    const vcpu = this.#dispatcher.removePcpu(pcpu.index);
    this.#failures = pcpu.answered ? 0 : this.#failures + 1;
    // Threads that never come up would be made again for ever.
    if (this.#failures < FAILURES_MAX) {
      this.#options.warn?.(`pCPU ${pcpu.index} was replaced: ${why}`);
      this.#spawn(pcpu.index);
    } else {
      this.#options.warn?.(`pCPU ${pcpu.index} was given up: ${why}`);
    }
    if (vcpu !== undefined) this.#ended(vcpu.run, { kind: 'crash', status: 'host', reason: `The pCPU that ran it failed: ${why}.` });
  }

  #receive(pcpu: Pcpu, message: FromPcpu): void {
    if (pcpu.index !== LOADER && this.#pcpus.get(pcpu.index) !== pcpu) return;
    pcpu.answered = true;
    const run = this.#runs.get(message.vm);
    const now = monotonic();
    switch (message.type) {
      case 'output':
        return run?.drain();
      case 'note':
        return run?.listener.note(message.text);
      case 'booted':
        return this.#booting.get(message.vm)?.resolve();
      case 'failed': {
        const booting = this.#booting.get(message.vm);
        const error = message.mistake ? new UserError(message.message, message.field) : new Error(message.message);
        if (booting !== undefined) return booting.reject(error);
        if (run === undefined) return undefined;
        this.#dispatcher.stopped(pcpu.index, { why: 'blocked' }, now);
        return this.#ended(run, { kind: 'crash', status: 'internal', reason: message.message });
      }
      case 'stopped': {
        const vcpu = run?.vcpus[message.vcpu];
        if (run === undefined || vcpu === undefined) return undefined;
        run.opcodes.set(pcpu.index, message.undefinedOpcodes);
        // Between its stopping and this message, the VM may have been told to pause, or to go on.
        const off = run.paused || run.outcome !== undefined;
        const account = run.block.accounts[vcpu.index]!;
        if (off) account.enter(BLOCKED, now);
        this.#dispatcher.stopped(pcpu.index, off ? { why: 'blocked' } : message.stop, now);
        // A nudge may have come after the vCPU had decided to halt, and before this message: it must not be slept through.
        const nudged = this.#nudged.delete(vcpu) || run.window.posted();
        if (!off && (message.stop.why === 'blocked' || (nudged && message.stop.why === 'halted'))) this.#wake(vcpu);
        if (this.#isOff(run)) this.#settle(run);
        return undefined;
      }
      case 'ended': {
        this.#dispatcher.stopped(pcpu.index, { why: 'blocked' }, now);
        run?.opcodes.set(pcpu.index, message.undefinedOpcodes);
        if (run !== undefined) this.#ended(run, message.outcome);
        return undefined;
      }
    }
  }

  #ended(run: Run, outcome: Outcome): void {
    this.#settle(run);
    if (run.outcome !== undefined) return;
    run.outcome = outcome;
    run.drain();
    run.listener.ended(outcome);
  }

  #isOff(run: Run): boolean {
    return run.vcpus.every((vcpu) => this.#dispatcher.pcpuOf(vcpu) === undefined);
  }

  #settle(run: Run): void {
    const done = this.#waiters.filter((waiter) => waiter.run === run);
    this.#waiters = this.#waiters.filter((waiter) => waiter.run !== run);
    for (const waiter of done) waiter.resolve();
  }

  #wake(vcpu: Vcpu): void {
    const { run } = vcpu;
    clearTimeout(this.#alarms.get(vcpu));
    this.#alarms.delete(vcpu);
    if (run.paused || run.outcome !== undefined) return;
    const now = monotonic();
    const account = run.block.accounts[vcpu.index]!;
    if (this.#dispatcher.pcpuOf(vcpu) === undefined && (account.state === BLOCKED || account.state === HALTED)) account.enter(READY, now);
    this.#dispatcher.wake(vcpu, now);
  }

  #nudge(vcpu: Vcpu, pcpu: number): void {
    this.#nudged.add(vcpu);
    vcpu.run.window.kick(vcpu.index);
    this.#pcpus.get(pcpu)?.block.ring();
  }

  #idle(): Pcpu | undefined {
    const busy = new Set([...this.#runs.values()].flatMap((run) => run.vcpus.map((vcpu) => this.#dispatcher.pcpuOf(vcpu))));
    return [...this.#pcpus.values()].find((pcpu) => !busy.has(pcpu.index));
  }

  #open(pcpu: Pcpu, run: Run, boot: boolean): void {
    pcpu.open.add(run.key);
    this.#send(pcpu, {
      type: 'open',
      vm: run.key,
      spec: run.spec,
      memory: run.memory,
      block: run.block.buffer,
      boot,
      rtcStart: run.rtcStart,
    });
  }

  #start(index: number, vcpu: Vcpu, slice: number): void {
    const pcpu = this.#pcpus.get(index)!;
    clearTimeout(this.#alarms.get(vcpu));
    this.#alarms.delete(vcpu);
    if (!pcpu.open.has(vcpu.run.key)) this.#open(pcpu, vcpu.run, false);
    this.#send(pcpu, { type: 'run', vm: vcpu.run.key, vcpu: vcpu.index, slice: slice * 1000 });
  }

  #send(pcpu: Pcpu, message: ToPcpu): void {
    pcpu.worker.postMessage(message);
  }
}
