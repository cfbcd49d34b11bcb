import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACTIVITIES, ACTIVITY_DEVICE, ACTIVITY_INTERPRETED, ACTIVITY_MMU, ACTIVITY_NONE, ACTIVITY_TRANSLATED } from '../state/index.ts';
import { activitiesOf, guestLooks, noLooks, RecentLooks, watch } from './activity.ts';

const total = (of: object): number => Object.values(of).reduce((sum: number, seconds: number) => sum + seconds, 0);

describe('activitiesOf', () => {
  test('shares guest time out as it was seen, and gives the devices the VMM’s', () => {
    const looks = noLooks();
    looks[ACTIVITY_TRANSLATED] = 60;
    looks[ACTIVITY_INTERPRETED] = 30;
    looks[ACTIVITY_MMU] = 10;
    // Time stamps tell the VMM's time; looks at it say nothing of the guest's.
    looks[ACTIVITY_DEVICE] = 500;
    looks[ACTIVITY_NONE] = 1000;
    const { translated, interpreted, mmu, devices } = activitiesOf(looks, 2, 0.5);
    expect([translated, interpreted, mmu, devices]).toEqual([1.2, 0.6, 0.2, 0.5]);
  });

  test('the parts add up to what was there, or without a look to the VMM’s alone', () => {
    const counts = fc.array(fc.nat(1000), { minLength: ACTIVITIES, maxLength: ACTIVITIES });
    fc.assert(
      fc.property(counts, fc.float({ min: 0, max: 10, noNaN: true }), fc.float({ min: 0, max: 10, noNaN: true }), (looks, guest, vmm) => {
        const wanted = guestLooks(looks) > 0 ? guest + vmm : vmm;
        expect(total(activitiesOf(looks, guest, vmm))).toBeCloseTo(wanted, 9);
      }),
    );
  });
});

test('recent looks: enough of them stand for themselves, few lean on those before', () => {
  const all = noLooks();
  const recent = new RecentLooks();
  all[ACTIVITY_INTERPRETED] = 100;
  expect(recent.since(all)[ACTIVITY_INTERPRETED]).toBe(100);
  all[ACTIVITY_TRANSLATED] = 100;
  const second = recent.since(all);
  expect([second[ACTIVITY_INTERPRETED], second[ACTIVITY_TRANSLATED]]).toEqual([0, 100]);
  all[ACTIVITY_MMU] = 5;
  const third = recent.since(all);
  expect([third[ACTIVITY_TRANSLATED], third[ACTIVITY_MMU]]).toEqual([75, 5]);
});

describe('watch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('looks some 100 times a second, less often where nothing is done, and not at all once it is over', () => {
    let doing = ACTIVITY_TRANSLATED;
    const machine = { looks: [noLooks()], activity: () => doing };
    let machines = [machine];
    const end = watch(() => machines);
    const looksIn = (ms: number): number => {
      const before = machine.looks[0]!.reduce((a, b) => a + b);
      vi.advanceTimersByTime(ms);
      return machine.looks[0]!.reduce((a, b) => a + b) - before;
    };
    const busy = looksIn(10_000);
    expect(busy).toBeGreaterThan(750);
    expect(busy).toBeLessThan(1350);
    expect(machine.looks[0]![ACTIVITY_TRANSLATED]).toBeGreaterThan(750);
    doing = ACTIVITY_NONE;
    looksIn(2000);
    const idle = looksIn(10_000);
    expect(idle).toBeGreaterThan(60);
    expect(idle).toBeLessThan(150);
    machines = [];
    expect(looksIn(1000)).toBeLessThan(3);
    machines = [machine];
    end();
    expect(looksIn(1000)).toBe(0);
  });
});
