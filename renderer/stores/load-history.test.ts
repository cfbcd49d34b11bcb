import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoadSample } from '../../electron/ipc.ts';
import { ACTIVITIES, LOAD_STATES, LoadHistory, stack } from './load-history.ts';

const START = 1_700_000_000_000;

function sample(second: number, user: number, over: Partial<LoadSample> = {}): LoadSample {
  return {
    id: 'a',
    time: START + second * 1000,
    interval: 1,
    technique: 'automatic',
    vcpus: [
      {
        vcpu: 0,
        guestUser: user,
        guestKernel: 0.1,
        vmm: 0.05,
        ready: 0,
        blocked: 0,
        halted: 0.85 - user,
        instructions: 1e6 * (second + 1),
        privileged: 1e4 * (second + 1),
        sensitive: 1e3 * (second + 1),
        activities: { interpreted: 0.1, translated: user, mmu: 0, decoding: 0, compiling: 0, devices: 0.05 },
      },
    ],
    exits: { hlt: 10 },
    exitSeconds: {},
    ...over,
  };
}

describe('LoadHistory', () => {
  it('gives back what was pushed, in order, as fractions of the interval', () => {
    const history = new LoadHistory(10);
    history.push(sample(0, 0.2));
    history.push({ ...sample(2, 0.4), interval: 2 });
    const { times, states, instructions } = history.stretch(60, START + 2000, 600);
    expect(times).toEqual([START / 1000, START / 1000 + 2]);
    expect(states[LOAD_STATES.indexOf('guestUser')]!.map((v) => v!.toFixed(2))).toEqual(['0.20', '0.20']);
    expect(instructions).toEqual([1e6, 1.5e6]);
  });

  it('keeps the newest samples only, and forgets none of those', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 60 }), (capacity, count) => {
        const history = new LoadHistory(capacity);
        for (let i = 0; i < count; i++) history.push(sample(i, 0.01 * (i % 50)));
        expect(history.length).toBe(Math.min(capacity, count));
        const { times } = history.stretch(3600, START + count * 1000, 3600);
        const first = Math.max(0, count - capacity);
        expect(times).toEqual(Array.from({ length: count - first }, (_, i) => START / 1000 + first + i));
      }),
    );
  });

  it('drops samples that are not newer, so that a kept history cannot be mixed into a live one', () => {
    const history = new LoadHistory();
    history.push(sample(5, 0.1));
    history.push(sample(5, 0.9));
    history.push(sample(4, 0.9));
    expect(history.length).toBe(1);
  });

  it('shows a hole where no samples came', () => {
    const history = new LoadHistory();
    history.push(sample(0, 0.1));
    history.push(sample(30, 0.1));
    const { times, states } = history.stretch(60, START + 30_000, 600);
    expect(times).toEqual([START / 1000, START / 1000 + 1, START / 1000 + 30]);
    expect(states[0]![1]).toBeNull();
  });

  it('averages when there are more samples than points', () => {
    const history = new LoadHistory();
    for (let i = 0; i < 3600; i++) history.push(sample(i, i % 2 === 0 ? 0.2 : 0.4));
    const { times, states } = history.stretch(3600, START + 3_599_000, 600);
    expect(times.length).toBeLessThanOrEqual(601);
    expect(times.length).toBeGreaterThan(590);
    for (const value of states[0]!.slice(1, -1)) expect(value).toBeCloseTo(0.3, 2);
  });

  it('averages over vCPUs, and adds their instructions', () => {
    const history = new LoadHistory();
    const one = sample(0, 0.8).vcpus[0]!;
    history.push(sample(0, 0.8, { vcpus: [one, { ...one, vcpu: 1, guestUser: 0.2 }] }));
    expect(history.vcpus).toBe(2);
    expect(history.stretch(60, START, 60).states[0]![0]).toBeCloseTo(0.5);
    expect(history.stretch(60, START, 60, 1).states[0]![0]).toBeCloseTo(0.2);
    expect(history.latest()![0]).toBeCloseTo(0.5);
    expect(history.latestInstructions()).toBe(2e6);
  });

  it('keeps what was done in the vCPU’s time, and instructions by class', () => {
    const history = new LoadHistory(10);
    history.push(sample(0, 0.2));
    history.push(sample(1, 0.4));
    const { activities } = history.stretch(60, START + 1000, 600);
    expect(activities[ACTIVITIES.indexOf('translated')]!.map((v) => v!.toFixed(2))).toEqual(['0.20', '0.40']);
    expect(activities[ACTIVITIES.indexOf('interpreted')]!.map((v) => v!.toFixed(2))).toEqual(['0.10', '0.10']);
    expect(history.classes(60, START + 1000)).toEqual([
      { name: 'innocuous', now: 2e6 - 2e4 - 2e3, average: 1.5e6 - 1.5e4 - 1.5e3 },
      { name: 'sensitive', now: 2e3, average: 1.5e3 },
      { name: 'privileged', now: 2e4, average: 1.5e4 },
    ]);
  });

  it('sums hypercalls up by name, with their part in multicalls and their cost, and sizes by place', () => {
    const history = new LoadHistory();
    history.push(sample(0, 0.1));
    expect(history.calls(60, START)).toEqual([]);
    const para = {
      calls: { iret: { count: 30, batched: 0, seconds: 6e-6 }, stack_switch: { count: 40, batched: 30, seconds: 0 } },
      multicalls: [0, 10, 0],
      updates: [5, 0, 0],
      rings: [0, 0, 0],
    };
    history.push(sample(1, 0.1, { technique: 'para', para }));
    history.push({ ...sample(3, 0.1, { technique: 'para', para: { ...para, multicalls: [0, 0, 4] } }), interval: 2 });
    const [first, second, ...rest] = history.calls(2.5, START + 3000);
    expect(first).toMatchObject({ name: 'stack_switch', now: 20, part: 0.75, cost: undefined });
    expect(first!.average).toBeCloseTo(80 / 3, 5);
    expect(second!.name).toBe('iret');
    expect(second!.cost).toBeCloseTo(2e-7, 12);
    expect(rest).toEqual([]);
    const { multicalls, updates, rings } = history.sizes(2.5, START + 3000);
    expect(multicalls.map((n) => n.toFixed(3))).toEqual(['0.000', '3.333', '1.333']);
    expect(updates[0]).toBeCloseTo(10 / 3, 5);
    expect(rings).toEqual([0, 0, 0]);
  });

  it('sums exits up by reason, those that began later too', () => {
    const history = new LoadHistory();
    history.push(sample(0, 0.1));
    history.push(sample(1, 0.1, { exits: { hlt: 10, 'port in': 40 } }));
    expect(history.exits(60, START + 1000)).toEqual([
      { name: 'port in', now: 40, average: 20, cost: undefined },
      { name: 'hlt', now: 10, average: 10, cost: undefined },
    ]);
    expect(history.exits(60, START - 1)).toEqual([]);
  });

  it('tells what an exit costs over the stretch, where that is timed', () => {
    const history = new LoadHistory();
    history.push(sample(0, 0.1, { exits: { hlt: 10, trap: 4 }, exitSeconds: { trap: 4e-6 } }));
    history.push({ ...sample(2, 0.1, { exits: { trap: 8 }, exitSeconds: { trap: 2e-6 } }), interval: 2 });
    const [trap, hlt] = history.exits(60, START + 2000);
    expect([trap!.name, hlt!.name]).toEqual(['trap', 'hlt']);
    expect(trap!.cost! * 1e9).toBeCloseTo(500, 2);
    expect(hlt!.cost).toBeUndefined();
    // An estimate may shrink; what one exit costs is never less than nothing.
    const shrinking = new LoadHistory();
    shrinking.push(sample(0, 0.1, { exits: { trap: 4 }, exitSeconds: { trap: -1e-6 } }));
    expect(shrinking.exits(60, START)[0]!.cost).toBeUndefined();
  });

  it('knows the technique of the run that it shows', () => {
    const history = new LoadHistory();
    expect(history.technique).toBeUndefined();
    history.push(sample(0, 0.1, { technique: 'full' }));
    expect(history.technique).toBe('full');
  });

  it('puts the sparkline’s values at their seconds, and NaN where nothing is known', () => {
    const history = new LoadHistory();
    history.push(sample(0, 0.25));
    history.push(sample(2, 0.5));
    const line = history.sparkline(4, START + 3000);
    expect([...line].map((v) => (Number.isNaN(v) ? null : Number(v.toFixed(2))))).toEqual([0.4, null, 0.65, null]);
  });
});

describe('a sparkline of samples that come a little late each time', () => {
  it('has no holes', () => {
    const history = new LoadHistory();
    let time = START;
    for (let i = 0; i < 70; i++) history.push(sample(0, 0.3, { time: (time += 1013), interval: 1.013 }));
    expect([...history.sparkline(60, time)].filter((v) => Number.isNaN(v))).toEqual([]);
  });
});

describe('stack', () => {
  it('sums from below, never above 1, and keeps holes', () => {
    expect(
      stack([
        [0.5, null],
        [0.25, null],
        [0.5, null],
      ]),
    ).toEqual([
      [0.5, null],
      [0.75, null],
      [1, null],
    ]);
  });
});
