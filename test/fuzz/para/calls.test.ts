/** Some thousands of hostile hypercalls, always the same. A million of them: `npm run fuzz -- --para`. */
import { beforeAll, expect, test } from 'vitest';
import { preparePara } from '../../../core/machine/para-fixture.ts';
import { Calls } from './calls.ts';

beforeAll(preparePara);

test('hostile hypercalls come to errors or to the end of their VM, and map nothing that they may not', () => {
  const calls = new Calls(1);
  for (let batch = 0; batch < 100; batch++) expect(calls.run(40), `batch ${batch}:\n${calls.last.join('\n')}`).toEqual([]);
});
