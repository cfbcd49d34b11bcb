/**
 * Puts entities (vCPUs) on pCPUs as a policy says. Pure bookkeeping: what is to happen goes out through `Actions`, what happened comes in
 * through the methods, so that worker threads and a simulator can both be driven by it.
 *
 * A pCPU that nobody competes for keeps its entity without asking again, and waits with it while it is halted. As soon as someone
 * waits for a turn, `press` tells the pCPUs to give back at the end of the slice, or at once if they only wait.
 */
import type { Policy } from './policy.ts';

export interface Actions<E> {
  /** Start running `entity` on the idle `pcpu`; report with `stopped`. */
  run(pcpu: number, entity: E, slice: number): void;
  /** While on, `pcpu` must give its entity back at the end of the slice or when it halts; while off, it goes on with it. */
  press(pcpu: number, on: boolean): void;
  /** Call `wake(entity)` at `deadline` (seconds), unless it is dispatched or removed before. */
  alarm(entity: E, deadline: number): void;
}

/** Why a pCPU gave an entity back. `halted` has the time at which it wants to run again (Infinity: only when woken). */
export type Stop = { readonly why: 'slice' } | { readonly why: 'halted'; readonly deadline: number } | { readonly why: 'blocked' };

interface Slot<E> {
  entity: E | undefined;
  since: number;
  pressed: boolean;
}

type Place = { kind: 'queued' } | { kind: 'on'; pcpu: number } | { kind: 'halted'; deadline: number } | { kind: 'blocked' };

export class Dispatcher<E> {
  readonly policy: Policy<E>;
  readonly #actions: Actions<E>;
  readonly #slots = new Map<number, Slot<E>>();
  readonly #places = new Map<E, Place>();
  /** What the policy gave an entity last. */
  readonly #slices = new Map<E, number>();

  constructor(policy: Policy<E>, actions: Actions<E>) {
    this.policy = policy;
    this.#actions = actions;
  }

  /** A pCPU joined; it is idle. */
  addPcpu(pcpu: number, now: number): void {
    this.#slots.set(pcpu, { entity: undefined, since: now, pressed: false });
    this.#dispatch(now);
  }

  /** A pCPU is gone. Returns the entity that was on it: it is blocked now. */
  removePcpu(pcpu: number): E | undefined {
    const entity = this.#slots.get(pcpu)?.entity;
    this.#slots.delete(pcpu);
    if (entity !== undefined) this.#places.set(entity, { kind: 'blocked' });
    return entity;
  }

  /** `entity` wants to run. Nothing happens if it is running or queued already. */
  wake(entity: E, now: number): void {
    const place = this.#places.get(entity);
    if (place?.kind === 'on' || place?.kind === 'queued') return;
    this.#places.set(entity, { kind: 'queued' });
    this.policy.enqueue(entity, now);
    this.#dispatch(now);
  }

  /** `entity` must not run (paused, switched off). If it is on a pCPU, the caller has to make it stop; it is then reported by `stopped`. */
  block(entity: E): void {
    const place = this.#places.get(entity);
    if (place?.kind === 'on') return;
    this.policy.remove(entity);
    this.#places.set(entity, { kind: 'blocked' });
    this.#relax();
  }

  /** `entity` is no more. It must not be on a pCPU. */
  forget(entity: E): void {
    if (this.#places.get(entity)?.kind === 'on') throw new Error('an entity was forgotten while it was on a pCPU');
    this.policy.remove(entity);
    this.#places.delete(entity);
    this.#slices.delete(entity);
    this.#relax();
  }

  /** Where `entity` runs, or undefined. */
  pcpuOf(entity: E): number | undefined {
    const place = this.#places.get(entity);
    return place?.kind === 'on' ? place.pcpu : undefined;
  }

  /** `pcpu` gave its entity back. */
  stopped(pcpu: number, stop: Stop, now: number): void {
    const slot = this.#slots.get(pcpu);
    if (slot?.entity === undefined) return;
    const entity = slot.entity;
    slot.entity = undefined;
    this.policy.charge(entity, now - slot.since, now);
    slot.since = now;
    if (stop.why === 'slice') {
      this.#places.set(entity, { kind: 'queued' });
      this.policy.enqueue(entity, now);
    } else if (stop.why === 'halted') {
      this.#places.set(entity, { kind: 'halted', deadline: stop.deadline });
      if (stop.deadline !== Infinity) this.#actions.alarm(entity, stop.deadline);
    } else {
      this.#places.set(entity, { kind: 'blocked' });
    }
    this.#dispatch(now);
  }

  #dispatch(now: number): void {
    for (const [pcpu, slot] of this.#slots) {
      if (slot.entity !== undefined) continue;
      const decision = this.policy.next(pcpu, now);
      if (decision === undefined) break;
      this.#slices.set(decision.entity, decision.slice);
      this.#put(pcpu, slot, decision.entity, decision.slice, now);
    }
    // Nobody waits for a turn: idle pCPUs take halted entities back, and wait with them more exactly than an alarm does.
    if (this.policy.waiting === 0) {
      for (const [pcpu, slot] of this.#slots) {
        if (slot.entity !== undefined) continue;
        const entity = this.#firstHalted();
        if (entity === undefined) break;
        // It may have work again before others have: no more of it at once than it would get in its turn.
        this.#put(pcpu, slot, entity, this.#slices.get(entity)!, now);
      }
    }
    this.#relax();
  }

  #firstHalted(): E | undefined {
    let best: E | undefined;
    let earliest = Infinity;
    for (const [entity, place] of this.#places) {
      if (place.kind !== 'halted' || (best !== undefined && place.deadline >= earliest)) continue;
      best = entity;
      earliest = place.deadline;
    }
    return best;
  }

  #put(pcpu: number, slot: Slot<E>, entity: E, slice: number, now: number): void {
    slot.entity = entity;
    slot.since = now;
    this.#places.set(entity, { kind: 'on', pcpu });
    this.#actions.run(pcpu, entity, slice);
  }

  /** Presses all pCPUs while anyone waits, none otherwise. */
  #relax(): void {
    const on = this.policy.waiting > 0;
    for (const [pcpu, slot] of this.#slots) {
      if (slot.pressed === on) continue;
      slot.pressed = on;
      this.#actions.press(pcpu, on);
    }
  }
}
