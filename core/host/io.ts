/** The thread that serves block devices of all paravirtualized VMs of this process while their vCPUs go on. It comes up when the first of them starts. */
import { Worker } from 'node:worker_threads';
import { Bell } from '../translator/bell.ts';
import { UserError, type Disk } from './api.ts';
import type { WorkerData, VmKey } from './protocol.ts';

/** The module that the thread runs. */
export const ioModule = (): URL => new URL(import.meta.url.endsWith('.ts') ? './io-worker.ts' : './io.js', import.meta.url);

export interface IoData {
  readonly bell: SharedArrayBuffer;
  readonly modules: WorkerData['modules'];
}

export type ToIo =
  /** `block` is the VM's VmBlock. */
  | { readonly type: 'attach'; readonly key: VmKey; readonly memory: WebAssembly.Memory; readonly block: SharedArrayBuffer }
  | { readonly type: 'detach'; readonly key: VmKey }
  /** A pCPU's block, to wake it by. */
  | { readonly type: 'pcpu'; readonly index: number; readonly block: SharedArrayBuffer }
  | { readonly type: 'plug'; readonly key: VmKey; readonly ask: number; readonly disk: Disk }
  /** `disk`: its path, or its name in the guest. */
  | { readonly type: 'unplug'; readonly key: VmKey; readonly ask: number; readonly disk: string };

export type FromIo =
  | { readonly type: 'note'; readonly key: VmKey; readonly text: string }
  /** There is an event for a vCPU that is on no pCPU. */
  | { readonly type: 'wake'; readonly key: VmKey }
  /** What came of `plug` (the disk's name in the guest) or `unplug` (its path). */
  | { readonly type: 'done'; readonly ask: number; readonly name: string }
  | { readonly type: 'failed'; readonly ask: number; readonly message: string; readonly mistake: boolean };

export interface IoThreadOptions {
  readonly module: URL;
  readonly modules: WorkerData['modules'];
  note(vm: VmKey, text: string): void;
  wake(vm: VmKey): void;
  warn(text: string): void;
}

interface Attached {
  readonly memory: WebAssembly.Memory;
  readonly block: SharedArrayBuffer;
}

interface Asked {
  readonly key: VmKey;
  resolve(name: string): void;
  reject(error: Error): void;
}

/** MiB: its JavaScript heap. */
const HEAP = 128;
const YOUNG = 4;
const FAILURES_MAX = 8;

export class IoThread {
  /** Rings for work in a machine's memory. */
  readonly bell = new Bell();
  readonly #options: IoThreadOptions;
  readonly #vms = new Map<VmKey, Attached>();
  readonly #pcpus = new Map<number, SharedArrayBuffer>();
  readonly #asked = new Map<number, Asked>();
  #next = 1;
  #worker: Worker | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: IoThreadOptions) {
    this.#options = options;
  }

  attach(key: VmKey, vm: Attached): void {
    this.#vms.set(key, vm);
    if (this.#worker) this.#send({ type: 'attach', key, ...vm });
    else this.#spawn();
  }

  detach(key: VmKey): void {
    if (!this.#vms.delete(key)) return;
    this.#send({ type: 'detach', key });
    for (const [ask, asked] of this.#asked) {
      if (asked.key !== key) continue;
      this.#asked.delete(ask);
      asked.reject(new UserError('The VM was switched off meanwhile.'));
    }
  }

  /** A pCPU came up, in place of the one with that number. */
  pcpu(index: number, block: SharedArrayBuffer): void {
    this.#pcpus.set(index, block);
    this.#send({ type: 'pcpu', index, block });
  }

  /** Gives a VM a disk; resolves to its name there. Rejects with a UserError. */
  plug(key: VmKey, disk: Disk): Promise<string> {
    return this.#ask(key, (ask) => ({ type: 'plug', key, ask, disk }));
  }

  /** Resolves to its path when the guest has let go of it. Rejects with a UserError. */
  unplug(key: VmKey, disk: string): Promise<string> {
    return this.#ask(key, (ask) => ({ type: 'unplug', key, ask, disk }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#vms.clear();
    await this.#worker?.terminate();
  }

  #ask(key: VmKey, message: (ask: number) => ToIo): Promise<string> {
    return new Promise((resolve, reject) => {
      const ask = this.#next++;
      this.#asked.set(ask, { key, resolve, reject });
      this.#send(message(ask));
    });
  }

  #spawn(): void {
    const workerData: IoData = { bell: this.bell.buffer, modules: this.#options.modules };
    const worker = new Worker(this.#options.module, {
      workerData,
      name: 'I/O',
      resourceLimits: { maxOldGenerationSizeMb: HEAP, maxYoungGenerationSizeMb: YOUNG },
    });
    this.#worker = worker;
    worker.on('message', (message: FromIo) => this.#receive(message));
    worker.on('error', (error) => this.#lost(worker, error.message));
    worker.on('exit', (code) => this.#lost(worker, `its thread ended with status ${code}`));
    // It does nothing but for pCPUs, which keep the process.
    worker.unref();
    for (const [index, block] of this.#pcpus) this.#send({ type: 'pcpu', index, block });
    for (const [key, vm] of this.#vms) this.#send({ type: 'attach', key, ...vm });
  }

  #receive(message: FromIo): void {
    if (message.type === 'note') return this.#options.note(message.key, message.text);
    if (message.type === 'wake') return this.#options.wake(message.key);
    const asked = this.#asked.get(message.ask);
    this.#asked.delete(message.ask);
    if (message.type === 'done') return asked?.resolve(message.name);
    return asked?.reject(message.mistake ? new UserError(message.message, 'disk') : new Error(message.message));
  }

  /** What it knew is in the machines' memories: another takes its place. */
  #lost(worker: Worker, why: string): void {
    if (this.#closed || this.#worker !== worker) return;
    this.#worker = undefined;
    for (const asked of this.#asked.values()) asked.reject(new Error(`The I/O thread failed: ${why}.`));
    this.#asked.clear();
    const again = ++this.#failures < FAILURES_MAX;
    this.#options.warn(`The I/O thread failed: ${why}. ${again ? 'Another takes its place' : 'Block devices stand still'}.`);
    if (again && this.#vms.size > 0) this.#spawn();
  }

  #send(message: ToIo): void {
    this.#worker?.postMessage(message);
    this.bell.ring();
  }
}
