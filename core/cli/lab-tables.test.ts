import { expect, test } from 'vitest';
import { emptyTable, NO_OPERATION, ratiosOf, type Cost, type LabTable, type Row } from '../host/lab/table.ts';
import { labMarkdown, labText } from './lab-tables.ts';
import { markdown, putBetween } from './markdown.ts';

const cost = (cycles: number, exits: Record<string, number> = {}): Cost => ({
  operations: 1000,
  cycles,
  nanoseconds: cycles * 1.5,
  exits,
  privileged: 1,
  sensitive: 0.0004,
});

const table = ((): LabTable => {
  const empty = emptyTable('A CPU', ['bare', 'trap-and-emulate', 'full']);
  const rows = empty.rows.map((row) =>
    row.benchmark === 'in' ? { ...row, costs: [cost(186.42), null, cost(2372.2, { 'io-in': 1, 'callout-port': 1.004 })] } : row,
  );
  const columns = empty.columns.map((column) =>
    column.name === 'trap-and-emulate' ? { ...column, failure: 'triple-fault' as const } : column,
  );
  return { ...empty, rows, columns };
})();

test('the text has a line for each operation, why a column is empty, and exits by reason', () => {
  const lines = labText(table).split('\n');
  expect(lines[0]).toMatch(/^cycles \(ns\) per operation +bare +trap and emulate +full +paper: native/);
  expect(lines.find((line) => line.startsWith('in '))).toMatch(/ 186 \(280\) +– +2,372 \(3,558\) +3,209 +15,826$/);
  expect(lines).toContain('trap and emulate: the guest ended in a triple fault before its prompt');
  expect(lines).toContain('  in, full: 1 callout-port, 1 io-in');
  expect(lines.filter((line) => line.includes('in, bare'))).toEqual([]);
});

test('the Markdown has costs and counts, without columns that have none', () => {
  const text = labMarkdown(table);
  expect(text).toContain('| in | 186 (280) | – | 2,372 (3,558) | 3,209 |  | 15,826 |');
  expect(text).toContain('| exits per operation | bare | full | privileged | sensitive |');
  expect(text).toContain('| in | 0 | 1 callout-port, 1 io-in | 1 | 0 |');
  expect(text).toContain('| syscall | – | – | – | – |');
});

test('what a para guest has no operation for is said, and what came in multicalls', () => {
  const empty = emptyTable('A CPU', ['full', 'para-single', 'para-batched']);
  const batched = { ...cost(900, { multicall: 1 }), batched: { mmu_update: 64 } };
  const rows = empty.rows.map((row): Row => ({
    ...row,
    costs:
      row.benchmark === 'in'
        ? [cost(5), NO_OPERATION, NO_OPERATION]
        : row.benchmark === 'ptemods'
          ? [NO_OPERATION, cost(9000, { mmu_update: 64 }), batched]
          : row.costs,
  }));
  const text = labMarkdown({ ...empty, rows, ratios: ratiosOf({ ...empty, rows }) });
  expect(text).toContain('| in | 5 (7.5) | not an operation of a para guest | not an operation of a para guest |');
  expect(text).toContain('| exits per operation | full | para, single calls | para, batched | privileged | sensitive |');
  expect(text).toContain('| ptemods | an operation of para guests only | 64 mmu_update | 1 multicall (with 64 mmu_update) | – | – |');
  expect(text).toContain('| in | 0 | not an operation of a para guest | not an operation of a para guest | 1 | 0 |');
  expect(text).toContain(
    'Page-table work (ptemods) by single calls takes 10 times the cycles that it takes in multicalls: 64 exits an operation, not 1.',
  );
  expect(text).not.toContain('Block reads');
});

test('a table takes its place in a document, and only its own', () => {
  expect(markdown(['a', 'b'], [['1', '2']])).toBe('| a | b |\n| --- | ---: |\n| 1 | 2 |');
  expect(putBetween('x <!-- lab -->old<!-- /lab --> y', 'lab', 'new')).toBe('x <!-- lab -->\n\nnew\n\n<!-- /lab --> y');
  expect(putBetween('x <!-- /lab --><!-- lab --> y', 'lab', 'new')).toBeUndefined();
  expect(putBetween('x', 'lab', 'new')).toBeUndefined();
});
