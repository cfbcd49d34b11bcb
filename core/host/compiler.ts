/** The thread that compiles translations for all VMs of this process. It comes up when the first of them needs it. */
import { Worker } from 'node:worker_threads';
import type { CompilerData, FromCompiler, ToCompiler } from '../translator/background.ts';
import { Bell } from '../translator/bell.ts';
import { tuneV8ForBackground } from '../wasm/index.ts';
import { v8MakesWay } from './priority.ts';
import type { VmKey } from './protocol.ts';

/** The module that the compiler's thread runs. */
export const compilerModule = (): URL =>
  new URL(import.meta.url.endsWith('.ts') ? '../translator/worker.ts' : './compiler.js', import.meta.url);

export interface CompilerThreadOptions {
  readonly module: URL;
  note(vm: VmKey, text: string): void;
  warn(text: string): void;
}

/** MiB: its JavaScript heap. */
const HEAP = 256;
/** MiB. What it makes garbage of is small: with V8's own choice, 25 MiB more would be in use. */
const YOUNG = 6;
const FAILURES_MAX = 8;

export class CompilerThread {
  /** Rings for a request in a machine's memory. */
  readonly bell = new Bell();
  readonly #options: CompilerThreadOptions;
  readonly #memories = new Map<VmKey, WebAssembly.Memory>();
  #worker: Worker | undefined;
  #stopMakingWay: (() => void) | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: CompilerThreadOptions) {
    this.#options = options;
  }

  attach(vm: VmKey, memory: WebAssembly.Memory): void {
    this.#memories.set(vm, memory);
    if (this.#worker) this.#send({ type: 'attach', key: vm, memory });
    else this.#spawn();
  }

  detach(vm: VmKey): void {
    if (this.#memories.delete(vm)) this.#send({ type: 'detach', key: vm });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#memories.clear();
    this.#stopMakingWay?.();
    await this.#worker?.terminate();
  }

  #spawn(): void {
    tuneV8ForBackground();
    this.#stopMakingWay ??= v8MakesWay();
    const workerData: CompilerData = { bell: this.bell.buffer };
    const worker = new Worker(this.#options.module, {
      workerData,
      name: 'compiler',
      resourceLimits: { maxOldGenerationSizeMb: HEAP, maxYoungGenerationSizeMb: YOUNG },
    });
    this.#worker = worker;
    worker.on('message', ({ key, text }: FromCompiler) => this.#options.note(key, text));
    worker.on('error', (error) => this.#lost(worker, error.message));
    worker.on('exit', (code) => this.#lost(worker, `its thread ended with status ${code}`));
    // It does nothing but for pCPUs, which keep the process.
    worker.unref();
    for (const [key, memory] of this.#memories) this.#send({ type: 'attach', key, memory });
  }

  /** All that it knew is in the machines' memories: another takes its place. */
  #lost(worker: Worker, why: string): void {
    if (this.#closed || this.#worker !== worker) return;
    this.#worker = undefined;
    this.#options.warn(
      `The compiler's thread failed: ${why}. ${++this.#failures < FAILURES_MAX ? 'Another takes its place' : 'VMs go on without'}.`,
    );
    if (this.#failures < FAILURES_MAX && this.#memories.size > 0) this.#spawn();
  }

  #send(message: ToCompiler): void {
    this.#worker?.postMessage(message);
    this.bell.ring();
  }
}
