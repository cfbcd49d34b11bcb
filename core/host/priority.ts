/** V8's own threads, which optimize and collect garbage, leave CPUs to those that a vCPU waits for. */
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/**
 * More than the process's nice value. With the first, a tenth of what others get where there is not enough for all, guests start soonest; on a busy
 * host their code would never be optimized: the second is a third.
 */
const LEAST = 10;
const MORE = 5;
/** They starve if they wait so many times as long as they run. Some four of them share a CPU without anyone else. */
const STARVED = 8;
const SATED = 5;
/** Milliseconds after which is looked how they fare. */
const PERIOD = 1000;
const V8_THREAD = 'V8Worker';
const TASKS = '/proc/self/task';

/** Time that threads ran and were ready without running, in nanoseconds. */
export interface Fare {
  readonly run: number;
  readonly waited: number;
}

/** What is to be added to the process's nice value for threads that have fared so with `added`. */
export function niceFor({ run, waited }: Fare, added: number = LEAST): number {
  if (waited > STARVED * run) return MORE;
  return waited < SATED * run ? LEAST : added;
}

/**
 * Lowers their priority, where a thread has one of its own (Linux), and sees to it that they go on at all. Not the compiler's thread: the guest stays
 * interpreted where that starves. Returns what ends that.
 */
export function v8MakesWay(): () => void {
  if (process.platform !== 'linux') return () => {};
  // What an ordinary user has lowered stays so (setpriority(2)): then at what is right on a busy host as well.
  if (!apply(MORE) || !apply(MORE - 1)) return () => {};
  let added = LEAST;
  let before: Fare = { run: 0, waited: 0 };
  apply(added);
  const timer = setInterval(() => {
    const now = fare();
    const next = niceFor({ run: now.run - before.run, waited: now.waited - before.waited }, added);
    before = now;
    if (next !== added) apply((added = next));
  }, PERIOD);
  timer.unref();
  return () => clearInterval(timer);
}

const read = (thread: string, file: string): string => readFileSync(`${TASKS}/${thread}/${file}`, 'utf8');

/** Calls `act` with the id of each. Returns whether that went well; nothing of it matters so much that it may fail. */
function each(act: (thread: string) => void): boolean {
  try {
    for (const thread of readdirSync(TASKS)) if (read(thread, 'comm').trim() === V8_THREAD) act(thread);
    return true;
  } catch {
    // A thread has ended, or this may not be done: all works without.
    return false;
  }
}

function apply(added: number): boolean {
  const nice = Math.min(getPriority() + added, 19);
  return each((thread) => setPriority(Number(thread), nice));
}

/** Of all together (proc_pid_schedstat(5)). */
function fare(): Fare {
  let [run, waited] = [0, 0];
  each((thread) => {
    const [first, second] = read(thread, 'schedstat').split(' ').map(Number);
    run += first ?? 0;
    waited += second ?? 0;
  });
  return { run, waited };
}
