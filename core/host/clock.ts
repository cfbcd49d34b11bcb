/** One monotonic clock for all threads of the process: `performance.now()` counts from each thread's own start. */
// Not the global: that is a getter, and calling it is a good part of reading the clock.
import { performance } from 'node:perf_hooks';
import { hrtime } from 'node:process';

const [seconds, nanoseconds] = hrtime();
const base = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** Milliseconds since some time in the past, the same in every thread. */
export const milliseconds = (): number => base + performance.now();

/** Seconds. */
export const monotonic = (): number => milliseconds() / 1000;
