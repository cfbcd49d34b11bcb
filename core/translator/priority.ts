/** Threads that no vCPU waits for leave the CPUs to those that one does. */
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** More than the process's nice value: where there is not enough for all, such a thread gets a tenth of what others do. */
const BACKGROUND = 10;
const LAST = 19;
/** V8's own threads: they optimize, and collect garbage. */
const V8_THREAD = 'V8Worker';
const TASKS = '/proc/self/task';

/** Elsewhere a priority is a process's (or Node cannot give a thread one). */
const isPerThread = process.platform === 'linux';

function lower(thread: number): void {
  try {
    setPriority(thread, Math.min(getPriority(process.pid) + BACKGROUND, LAST));
  } catch {
    // It has ended, or may not: all works without.
  }
}

function threadsNamed(name: string): number[] {
  try {
    return readdirSync(TASKS)
      .filter((thread) => readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim() === name)
      .map(Number);
  } catch {
    return [];
  }
}

/** The calling thread makes way. */
export function makeWay(): void {
  if (isPerThread) lower(0);
}

/** V8's threads of this process make way. */
export function v8MakesWay(): void {
  if (isPerThread) for (const thread of threadsNamed(V8_THREAD)) lower(thread);
}
