/** A thread with an engine, for the test that moves a vCPU between threads. */
import { parentPort, workerData } from 'node:worker_threads';
import { createEngine, type Engine, type EngineModules } from '../../processor/engine.ts';
import { Cpu, EXIT_HALT } from '../../state/index.ts';
import { Bell } from '../bell.ts';
import { BUS } from '../testing.ts';
import { Translator } from '../translator.ts';

export interface EngineData {
  readonly modules: EngineModules;
  /** Of the compiler's thread. */
  readonly bell: SharedArrayBuffer;
}

export type ToEngine =
  | { readonly type: 'open'; readonly memory: WebAssembly.Memory; readonly after: number }
  | { readonly type: 'run'; readonly cpu: number; readonly budget: number };

export interface FromEngine {
  readonly halted: boolean;
  readonly retired: number;
}

const { modules, bell } = workerData as EngineData;
const ringer = new Bell(bell);
let engine: Engine;
let memory: WebAssembly.Memory;

parentPort!.on('message', (message: ToEngine) => {
  let answer: FromEngine = { halted: false, retired: 0 };
  if (message.type === 'open') {
    memory = message.memory;
    engine = createEngine(memory, BUS, modules, {
      translator: (host) => new Translator(host, { after: message.after, wake: () => ringer.ring() }),
    });
  } else {
    const { cpu, budget } = message;
    const halted = engine.run(cpu, budget) === EXIT_HALT;
    answer = { halted, retired: budget - Cpu.view(memory.buffer, cpu).budget };
  }
  parentPort!.postMessage(answer);
});
