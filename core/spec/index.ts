export * from './row.ts';
import { rows as integer } from './rows/integer.ts';
import { rows as segments } from './rows/segments.ts';
import { rows as transfers } from './rows/transfers.ts';

/** Every set of rows; where two rows match the same bytes, the earlier wins. */
export const rowSets: readonly string[] = [integer, segments, transfers];
