/** Entry of the compiler's thread: compiles what vCPUs' threads ask for in the memories of their machines. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { CompilerData, FromCompiler, ToCompiler } from './background.ts';
import { Bell } from './bell.ts';
import { Compiler } from './compiler.ts';
import { COMPANY } from './requests.ts';

/** Milliseconds. So often it returns to the event loop: V8 frees what it has no more use for only there. */
const BREATH = 1000;
/** Milliseconds that a request waits for others. */
const PATIENCE = 5;

const port = parentPort;
if (port === null) throw new Error('the compiler is a worker thread');
const bell = new Bell((workerData as CompilerData).bell);
const compilers = new Map<number, Compiler>();

function receive(message: ToCompiler): void {
  const { key } = message;
  if (message.type === 'detach') compilers.delete(key);
  else
    compilers.set(
      key,
      new Compiler(message.memory, {
        batch: COMPANY,
        patience: PATIENCE,
        note: (text) => port!.postMessage({ type: 'note', key, text } satisfies FromCompiler),
      }),
    );
}

function work(): void {
  const end = performance.now() + BREATH;
  for (let now = performance.now(); now < end; now = performance.now()) {
    // Read before looking for work: what comes after that ends the wait at once.
    const { rung } = bell;
    for (let next; (next = receiveMessageOnPort(port!)) !== undefined;) receive(next.message as ToCompiler);
    let pause = end - now;
    // By turns: no machine waits for another's last request.
    for (const compiler of compilers.values()) pause = Math.min(pause, compiler.work());
    if (pause > 0) bell.wait(rung, pause);
  }
  setImmediate(work);
}

work();
