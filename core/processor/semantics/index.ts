/** The semantic families by name (a row's `do=`, or its mnemonic in lower case). Rows with `helper=` need none. */
import { arithmetic } from './arithmetic.ts';
import { bits } from './bits.ts';
import type { Family } from './emitter.ts';
import { flow } from './flow.ts';
import { mmxFamilies } from './mmx.ts';
import { multiply } from './multiply.ts';
import { shifts } from './shifts.ts';
import { sse4 } from './sse4.ts';
import { sseFloat } from './sse_float.ts';
import { sseInteger } from './sse_integer.ts';
import { x87 } from './x87.ts';

export const families: Readonly<Record<string, Family>> = {
  ...arithmetic,
  ...shifts,
  ...multiply,
  ...bits,
  ...flow,
  ...sseInteger,
  ...sseFloat,
  ...sse4,
  ...mmxFamilies,
  ...x87,
};
export type { Emitter, Family, Value } from './emitter.ts';
