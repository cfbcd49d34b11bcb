/** V8's own threads leave CPUs to those that a vCPU waits for. */
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/**
 * More than the process's nice value: where there is not enough for all, such a thread gets a third of what others do. With 10, a tenth, guests start
 * sooner on a quiet host; on a busy one their code is not optimized.
 */
const BACKGROUND = 5;
const LAST = 19;
/** They optimize, and collect garbage. */
const V8_THREAD = 'V8Worker';
const TASKS = '/proc/self/task';

/** Lowers their priority, where a thread has one of its own. Not the compiler's thread: the guest stays interpreted where that starves. */
export function v8MakesWay(): void {
  if (process.platform !== 'linux') return;
  try {
    const nice = Math.min(getPriority() + BACKGROUND, LAST);
    for (const thread of readdirSync(TASKS))
      if (readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim() === V8_THREAD) setPriority(Number(thread), nice);
  } catch {
    // A thread has ended, or this may not be done: all works without.
  }
}
