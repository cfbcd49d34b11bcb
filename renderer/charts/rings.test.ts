import { expect, it } from 'vitest';
import { LOAD_STATES } from '../stores/load-history.ts';
import { places } from './rings.ts';

const rings = (technique: 'automatic' | 'full') => places(technique).flatMap(({ ring, who }) => (ring === undefined ? [] : [[ring, who]]));

it('bare, the guest’s kernel has ring 0', () => {
  expect(rings('automatic')).toEqual([[3, 'applications'], [2, 'nobody'], [1, 'nobody'], [0, 'kernel']]); // prettier-ignore
  expect(places('automatic').find(({ who }) => who === 'vmmOutside')?.states).toEqual(['vmm']);
});

it('under full virtualization the VMM has it, and the kernel is in ring 1', () => {
  expect(rings('full')).toEqual([[3, 'applications'], [2, 'nobody'], [1, 'kernelCompressed'], [0, 'vmm']]); // prettier-ignore
});

it('has a place for all of a vCPU’s time, and no time in two places', () => {
  for (const technique of ['automatic', 'full'] as const)
    expect(
      places(technique)
        .flatMap(({ states }) => states)
        .toSorted(),
    ).toEqual(LOAD_STATES.toSorted());
});
