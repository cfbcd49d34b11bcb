/** The places of a histogram of sizes, as the core counts them: 1, 2, 3 to 4, 5 to 8, .., the last one: more. */
export interface SizeRow {
  readonly from: number;
  /** Absent: without end. */
  readonly to?: number;
  /** Of all, 0 to 1. */
  readonly share: number;
}

/** Those between the smallest and the largest size that there is; none if there is nothing. */
export function sizeRows(counts: readonly number[]): SizeRow[] {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return [];
  const rows = counts.map((count, i): SizeRow => {
    const from = i === 0 ? 1 : 2 ** (i - 1) + 1;
    return { from, ...(i < counts.length - 1 && { to: 2 ** i }), share: count / all };
  });
  return rows.slice(
    rows.findIndex(({ share }) => share > 0),
    rows.findLastIndex(({ share }) => share > 0) + 1,
  );
}
