/** Random sequences of page-table operations, always the same; after each batch nothing is mapped that may not be. More of them: `npm run fuzz -- --para`. */
import { beforeAll, expect, test } from 'vitest';
import { preparePara } from '../../../core/machine/para-fixture.ts';
import { Tables } from './tables.ts';

beforeAll(preparePara);

test('random page-table operations leave no forbidden mapping', () => {
  const tables = new Tables(1);
  for (let batch = 0; batch < 400; batch++) expect(tables.run(25), `batch ${batch}`).toEqual([]);
  // Each did succeed, and most failed too.
  for (const [name, [times, successes]] of tables.counts) expect(successes, `${name}, ${times} times`).toBeGreaterThan(0);
});
