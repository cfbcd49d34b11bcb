/** Some thousands of hostile hypercalls, always the same. A million of them: `npm run fuzz -- --para`. */
import { beforeAll, expect, test } from 'vitest';
import { preparePara } from '../../../core/machine/para-fixture.ts';
import { PARA_SHARED_INFO } from '../../../core/state/index.ts';
import { Calls } from './calls.ts';
import { FuzzGuest } from './guest.ts';

beforeAll(preparePara);

test('hostile hypercalls come to errors or to the end of their VM, and map nothing that they may not', () => {
  const calls = new Calls(1);
  for (let batch = 0; batch < 100; batch++) expect(calls.run(40), `batch ${batch}:\n${calls.last.join('\n')}`).toEqual([]);
});

/** What hostile hypercalls have come to. */
test('vcpu_info is not put beside itself', () => {
  const guest = new FuzzGuest();
  guest.word(guest.scratch, 0, BigInt(PARA_SHARED_INFO));
  guest.word(guest.scratch, 8, 0x800n);
  expect(guest.call(24, [10n, 0n, guest.at(0)])).toBe(-22n);
  expect(guest.check()).toEqual([]);
});

test('only the memory of its own is mapped for a domain', () => {
  const guest = new FuzzGuest();
  const { m, scratch } = guest;
  const mapped = (domain: bigint): bigint | undefined => guest.call(22, [m.at(scratch), m.to(scratch), 0n, domain]);
  expect([0x7ff0n, 1n, 0n, 0x7ff1n, 0x7ff2n, 2n].map(mapped)).toEqual([0n, 0n, -1n, -1n, -1n, -3n]);
  expect(guest.check()).toEqual([]);
});
