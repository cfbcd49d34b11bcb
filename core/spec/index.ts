export * from './row.ts';
import { rows as integer } from './rows/integer.ts';
import { rows as mmx } from './rows/mmx.ts';
import { rows as segments } from './rows/segments.ts';
import { rows as sse4 } from './rows/sse4.ts';
import { rows as sse_float } from './rows/sse_float.ts';
import { rows as sse_integer } from './rows/sse_integer.ts';
import { rows as strings } from './rows/strings.ts';
import { rows as system } from './rows/system.ts';
import { rows as transfers } from './rows/transfers.ts';
import { rows as x87 } from './rows/x87.ts';
import { rows as xsave } from './rows/xsave.ts';

/** Every set of rows; where two rows match the same bytes, the earlier wins. */
export const rowSets: readonly string[] = [integer, mmx, segments, sse4, sse_float, sse_integer, strings, system, transfers, x87, xsave];
