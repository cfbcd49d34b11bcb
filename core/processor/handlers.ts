/**
 * The numbering of handlers: one for each row, operand size and form; and a second one, the call-out, for those that a VMM has to do with
 * (callouts.ts). Decoder and interpreter must agree on it; nothing else knows it.
 *
 *   HANDLER_FIRST ...   innocuous instructions
 *   special.first ...   the others
 *   special.callouts ... their call-outs, in the same order
 */
import { rowSets } from '../spec/index.ts';
import { parseRows, variants, type Row } from '../spec/row.ts';
import { HANDLER_FIRST } from '../state/index.ts';
import { calloutOf, type Callout } from './callouts.ts';

export interface NumberedRow {
  readonly row: Row;
  /** First slot. Slot of a variant: `base + 2 * variants(row).indexOf(size) + (memory form ? 1 : 0)`. */
  readonly base: number;
  readonly sizes: readonly (0 | 16 | 32 | 64)[];
  readonly callout: Callout | undefined;
}

interface Numbering {
  /** In order of their sets. */
  readonly rows: readonly NumberedRow[];
  /** In order of their handlers. */
  readonly byHandler: readonly NumberedRow[];
  readonly special: { readonly first: number; readonly callouts: number; readonly end: number };
}

let numbering: Numbering | undefined;

/** Made when first asked for: not every thread needs the rows. */
function numbered(): Numbering {
  if (numbering === undefined) {
    let next = HANDLER_FIRST;
    const all = rowSets.flatMap(parseRows).map((row) => ({ row, base: 0, sizes: variants(row), callout: calloutOf(row) }));
    const number = (rows: typeof all): void => {
      for (const row of rows) {
        row.base = next;
        next += row.sizes.length * 2;
      }
    };
    const innocuous = all.filter((row) => !row.callout);
    const others = all.filter((row) => row.callout);
    number(innocuous);
    const first = next;
    number(others);
    numbering = { rows: all, byHandler: [...innocuous, ...others], special: { first, callouts: next, end: 2 * next - first } };
  }
  return numbering;
}

/** All rows in order of their sets. */
export const numberedRows = (): readonly NumberedRow[] => numbered().rows;

/** Where the handlers begin of what a VMM has to do with, where their call-outs do, and where those end. */
export const specialHandlers = (): Numbering['special'] => numbered().special;

/** How many handlers there are: the first slot behind them. */
export const handlerCount = (): number => numbered().special.end;

export const isCallout = (handler: number): boolean => handler >= numbered().special.callouts && handler < numbered().special.end;

/** The handler that a call-out stands for; any other is its own. */
export function nativeHandler(handler: number): number {
  const { first, callouts } = numbered().special;
  return isCallout(handler) ? handler - (callouts - first) : handler;
}

/** The name a handler goes by in statistics: its row's mnemonic and operands. */
export function handlerRow(handler: number): NumberedRow | undefined {
  const native = nativeHandler(handler);
  let low = 0;
  const rows = numbered().byHandler;
  let high = rows.length - 1;
  while (low <= high) {
    const mid = (low + high) >> 1;
    const r = rows[mid]!;
    if (native < r.base) high = mid - 1;
    else if (native >= r.base + r.sizes.length * 2) low = mid + 1;
    else return r;
  }
  return undefined;
}
