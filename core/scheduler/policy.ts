/**
 * Level-1 scheduling: which vCPU runs on which pCPU next. A policy sees opaque entities and time stamps, nothing of vCPUs, threads or
 * messages: the very same code serves the host's dispatcher and a simulator. Times are seconds of one monotonic clock.
 */

/** What a pCPU is to do: run `entity` for at most `slice` seconds. */
export interface Decision<E> {
  readonly entity: E;
  readonly slice: number;
}

export interface Policy<E> {
  readonly name: string;
  /** `entity` wants to run: it woke up, or its slice ended and it has more to do. */
  enqueue(entity: E, now: number): void;
  /** `entity` does not want to run any more, or is gone. Nothing happens if it is not queued. */
  remove(entity: E): void;
  /** Takes out the entity that `pcpu` is to run now; undefined if none is queued. */
  next(pcpu: number, now: number): Decision<E> | undefined;
  /** `entity` ran for `seconds`, measured by time stamps (never by tick sampling), and stopped at `now`. */
  charge(entity: E, seconds: number, now: number): void;
  /** Number of entities queued. */
  readonly waiting: number;
}
