/** The numbering of handlers: one for each row, operand size and form. Decoder and interpreter must agree on it; nothing else knows it. */
import { rowSets } from '../spec/index.ts';
import { parseRows, variants, type Row } from '../spec/row.ts';
import { HANDLER_FIRST } from '../state/index.ts';

export interface NumberedRow {
  readonly row: Row;
  /** First slot. Slot of a variant: `base + 2 * variants(row).indexOf(size) + (memory form ? 1 : 0)`. */
  readonly base: number;
  readonly sizes: readonly (0 | 16 | 32 | 64)[];
}

let numbered: readonly NumberedRow[] | undefined;

/** All rows in order of their sets. Parsed when first asked for: not every thread needs them. */
export function numberedRows(): readonly NumberedRow[] {
  if (numbered === undefined) {
    let next = HANDLER_FIRST;
    numbered = rowSets.flatMap(parseRows).map((row) => {
      const sizes = variants(row);
      const base = next;
      next += sizes.length * 2;
      return { row, base, sizes };
    });
  }
  return numbered;
}

/** How many handlers there are: the first slot behind them. */
export function handlerCount(): number {
  const last = numberedRows().at(-1)!;
  return last.base + last.sizes.length * 2;
}

/** The name a handler goes by in statistics: its row's mnemonic and operands. */
export function handlerRow(handler: number): NumberedRow | undefined {
  let low = 0;
  const rows = numberedRows();
  let high = rows.length - 1;
  while (low <= high) {
    const mid = (low + high) >> 1;
    const r = rows[mid]!;
    if (handler < r.base) high = mid - 1;
    else if (handler >= r.base + r.sizes.length * 2) low = mid + 1;
    else return r;
  }
  return undefined;
}
