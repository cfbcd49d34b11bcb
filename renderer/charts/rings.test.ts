import { expect, it } from 'vitest';
import { en } from '../locales/en.ts';
import { LOAD_STATES } from '../stores/load-history.ts';
import { arrangementOf, places } from './rings.ts';
import type { Arrangement } from './rings.ts';

const rings = (arrangement: Arrangement) => places(arrangement).flatMap(({ ring, who }) => (ring === undefined ? [] : [[ring, who]]));

it('bare, the guest’s kernel has ring 0', () => {
  expect(rings('bare')).toEqual([[3, 'applications'], [2, 'nobody'], [1, 'nobody'], [0, 'kernel']]); // prettier-ignore
  expect(places('bare').find(({ who }) => who === 'vmmOutside')?.states).toEqual(['vmm']);
});

it('under full virtualization the VMM has it, and the kernel is in ring 1', () => {
  expect(rings('full')).toEqual([[3, 'applications'], [2, 'nobody'], [1, 'kernelCompressed'], [0, 'vmm']]); // prettier-ignore
});

it('under paravirtualization the VMM has it, and kernel and applications share ring 3', () => {
  expect(rings('para')).toEqual([[3, 'applications'], [3, 'kernelPara'], [2, 'nobody'], [1, 'nobody'], [0, 'vmmHypercalls']]); // prettier-ignore
});

it('has a place for all of a vCPU’s time, no time in two places, and words', () => {
  for (const technique of ['automatic', 'full', 'para'] as const) {
    const all = places(arrangementOf(technique));
    expect(all.flatMap(({ states }) => states).toSorted()).toEqual(LOAD_STATES.toSorted());
    for (const { who } of all) expect(en.rings.who).toHaveProperty(who);
    expect(en.rings.intro).toHaveProperty(arrangementOf(technique));
    expect(en.rings.caption).toHaveProperty(arrangementOf(technique));
  }
});
