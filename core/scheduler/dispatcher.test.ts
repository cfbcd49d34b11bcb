import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Dispatcher, type Actions } from './dispatcher.ts';
import { roundRobin, SLICE } from './round-robin.ts';

/** A dispatcher over named entities, with what it did written down. */
function machine(pcpus: number) {
  const running = new Map<number, string>();
  const pressed = new Map<number, boolean>();
  const alarms = new Map<string, number>();
  const done: string[] = [];
  const slices = new Map<string, number>();
  const actions: Actions<string> = {
    run(pcpu, entity, slice) {
      slices.set(entity, slice);
      expect(running.has(pcpu), 'a pCPU runs one entity at a time').toBe(false);
      expect([...running.values()], 'an entity runs on one pCPU at a time').not.toContain(entity);
      running.set(pcpu, entity);
      done.push(`${entity}@${pcpu}`);
    },
    press: (pcpu, on) => pressed.set(pcpu, on),
    alarm: (entity, deadline) => alarms.set(entity, deadline),
  };
  const dispatcher = new Dispatcher<string>(roundRobin(0.005), actions);
  for (let i = 0; i < pcpus; i++) dispatcher.addPcpu(i, 0);
  const stop = (pcpu: number, stopped: Parameters<typeof dispatcher.stopped>[1], now = 0): void => {
    running.delete(pcpu);
    dispatcher.stopped(pcpu, stopped, now);
  };
  return { dispatcher, running, pressed, alarms, done, slices, stop };
}

describe('dispatcher', () => {
  test('one alone keeps its pCPU and is never asked to give it back', () => {
    const m = machine(2);
    m.dispatcher.wake('a', 0);
    expect(m.running).toEqual(new Map([[0, 'a']]));
    expect(m.pressed.get(0) ?? false).toBe(false);
  });

  test('when one more wants to run than there are pCPUs, all are pressed, and they take turns', () => {
    const m = machine(1);
    for (const name of ['a', 'b', 'c']) m.dispatcher.wake(name, 0);
    expect(m.pressed.get(0)).toBe(true);
    for (let i = 0; i < 5; i++) m.stop(0, { why: 'slice' }, i);
    expect(m.done).toEqual(['a@0', 'b@0', 'c@0', 'a@0', 'b@0', 'c@0']);
    m.dispatcher.block('a');
    m.dispatcher.block('b');
    expect(m.pressed.get(0)).toBe(false);
  });

  test('a halted one that gave way has an alarm, and goes back to a pCPU that nobody wants', () => {
    const m = machine(1);
    m.dispatcher.wake('idle', 0);
    m.dispatcher.wake('busy', 0);
    m.stop(0, { why: 'halted', deadline: 7 });
    expect(m.alarms.get('idle')).toBe(7);
    expect(m.running.get(0)).toBe('busy');
    m.stop(0, { why: 'blocked' });
    expect(m.running.get(0)).toBe('idle');
    // Not for ever: it may find work there, and then others may want their turns.
    expect(m.slices.get('idle')).toBe(0.005);
  });

  test('what is blocked does not run until it is woken', () => {
    const m = machine(1);
    m.dispatcher.wake('a', 0);
    m.stop(0, { why: 'blocked' });
    expect(m.running.size).toBe(0);
    m.dispatcher.wake('a', 1);
    expect(m.running.get(0)).toBe('a');
    expect(() => m.dispatcher.forget('a')).toThrow(/on a pCPU/);
  });

  test('a pCPU that is lost takes only its own entity with it', () => {
    const m = machine(2);
    m.dispatcher.wake('a', 0);
    m.dispatcher.wake('b', 0);
    expect(m.dispatcher.removePcpu(0)).toBe('a');
    m.running.delete(0);
    m.dispatcher.addPcpu(0, 1);
    expect(m.running).toEqual(new Map([[1, 'b']]));
  });

  /** Time on a pCPU by entity, of entities that always want to run, on a clock of our own: slices end in time, but for `late` seconds. */
  function shares(pcpus: number, names: readonly string[], seconds: number, late: (name: string) => number): Map<string, number> {
    const ran = new Map(names.map((name) => [name, 0]));
    const ends = new Map<number, { name: string; began: number; end: number }>();
    let now = 0;
    const dispatcher = new Dispatcher<string>(roundRobin(SLICE), {
      run: (pcpu, name, slice) => void ends.set(pcpu, { name, began: now, end: now + Math.min(slice, SLICE) + late(name) }),
      press: () => {},
      alarm: () => {},
    });
    for (let i = 0; i < pcpus; i++) dispatcher.addPcpu(i, now);
    for (const name of names) dispatcher.wake(name, now);
    while (now < seconds) {
      const [pcpu, turn] = [...ends].reduce((a, b) => (b[1].end < a[1].end ? b : a));
      now = turn.end;
      ends.delete(pcpu);
      ran.set(turn.name, ran.get(turn.name)! + now - turn.began);
      dispatcher.stopped(pcpu, { why: 'slice' }, now);
    }
    return ran;
  }

  test.each([
    [1, 2],
    [2, 3],
    [2, 5],
    [3, 4],
    [4, 4],
  ])('on %i pCPUs, %i that always want to run get equal shares, and no pCPU idles', (pcpus, count) => {
    const names = Array.from({ length: count }, (_, i) => `v${i}`);
    const ran = [...shares(pcpus, names, 10, () => 0).values()];
    const fair = (10 * pcpus) / count;
    for (const seconds of ran) expect(Math.abs(seconds - fair)).toBeLessThan(2 * SLICE);
    expect(ran.reduce((a, b) => a + b)).toBeCloseTo(10 * pcpus, 1);
  });

  test('turns are equal in number: one that gives back late has more time, and the others have the same', () => {
    const ran = shares(1, ['a', 'b', 'slow'], 10, (name) => (name === 'slow' ? SLICE / 2 : 0));
    expect(ran.get('a')! / ran.get('b')!).toBeCloseTo(1, 2);
    expect(ran.get('slow')! / ran.get('a')!).toBeCloseTo(1.5, 2);
  });

  test('whatever happens, no pCPU is idle while someone waits, and pressed means that someone waits', () => {
    const step = fc.record({ act: fc.constantFrom('wake', 'block', 'slice', 'halt', 'block-running'), who: fc.nat(5), pcpu: fc.nat(2) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 80 }), (pcpus, steps) => {
        const m = machine(pcpus);
        steps.forEach(({ act, who, pcpu }, now) => {
          const at = pcpu % pcpus;
          if (act === 'wake') m.dispatcher.wake(`v${who}`, now);
          else if (act === 'block') m.dispatcher.block(`v${who}`);
          else if (m.running.has(at))
            m.stop(
              at,
              act === 'slice' ? { why: 'slice' } : act === 'halt' ? { why: 'halted', deadline: now + 5 } : { why: 'blocked' },
              now,
            );
          if (m.dispatcher.policy.waiting > 0) expect(m.running.size).toBe(pcpus);
          for (let i = 0; i < pcpus; i++) expect(m.pressed.get(i) ?? false).toBe(m.dispatcher.policy.waiting > 0);
        });
      }),
    );
  });
});
