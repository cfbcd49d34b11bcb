/** The lab's table as text and as Markdown. */
import {
  costOf, exitsOf, NO_OPERATION, type Column, type ColumnName, type Cost, type Entry, type Failure, type LabTable, type Ratio,
} from '../host/lab/table.ts'; // prettier-ignore
import { markdown } from './markdown.ts';

const NAMES: Readonly<Record<ColumnName, string>> = {
  bare: 'bare',
  'trap-and-emulate': 'trap and emulate',
  traps: 'full, not adaptive',
  full: 'full',
  'para-single': 'para, single calls',
  'para-batched': 'para, batched',
};

const FAILURES: Readonly<Record<Failure, string>> = {
  'triple-fault': 'the guest ended in a triple fault before its prompt',
  crash: 'the VM crashed',
  silent: 'the guest did not answer',
};

/** Three significant digits, thousands apart. */
const number = (x: number): string => Number(x.toPrecision(x < 1000 ? 3 : 4)).toLocaleString('en-US', { maximumFractionDigits: 1 });
/** Of exits: whole ones look whole. */
const count = (x: number): string => Number(x.toFixed(1)).toString();

const isPara = ({ name }: Column): boolean => name.startsWith('para');
const missing = (entry: Entry, column: Column): string =>
  entry !== NO_OPERATION ? '–' : isPara(column) ? 'not an operation of a para guest' : 'an operation of para guests only';
const costText = (entry: Entry, column: Column): string => {
  const of = costOf(entry);
  return of === null ? missing(entry, column) : `${number(of.cycles)} (${number(of.nanoseconds)})`;
};
const list = (counts: Cost['exits']): string =>
  Object.entries(counts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, n]) => `${count(n)} ${reason}`)
    .join(', ');
const exits = (entry: Entry, column: Column): string => {
  const of = costOf(entry);
  if (of === null) return missing(entry, column);
  return `${list(of.exits) || '0'}${of.batched === undefined ? '' : ` (with ${list(of.batched)})`}`;
};

const paper = (x: number | undefined): string => (x === undefined ? '' : x.toLocaleString('en-US'));

interface Part {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const names = (columns: readonly Column[]): string[] => columns.map(({ name }) => NAMES[name]);

const costs = ({ columns, rows }: LabTable): Part => ({
  head: ['cycles (ns) per operation', ...names(columns), 'paper: native', 'software VMM', 'hardware VMM'],
  rows: rows.map((row) => [
    row.benchmark,
    ...row.costs.map((entry, i) => costText(entry, columns[i]!)),
    paper(row.paper.native),
    paper(row.paper.software),
    paper(row.paper.hardware),
  ]),
});

/** Columns without a result are left out: there is nothing to count. */
function counts({ columns, rows }: LabTable): Part {
  const there = columns.map((_, i) => rows.some((row) => row.costs[i] !== null));
  // Bare, nothing is taken for what it is, and a para guest executes other instructions: the classes are those of full virtualization.
  const last = columns.findLastIndex((_, i) => there[i] && !isPara(columns[i]!));
  return {
    head: ['exits per operation', ...names(columns.filter((_, i) => there[i])), 'privileged', 'sensitive'],
    rows: rows.map((row) => {
      const own = costOf(row.costs[last] ?? null);
      const classes = own ? [count(own.privileged), count(own.sensitive)] : ['–', '–'];
      return [row.benchmark, ...row.costs.flatMap((entry, i) => (there[i] ? [exits(entry, columns[i]!)] : [])), ...classes];
    }),
  };
}

const failures = ({ columns }: LabTable): string[] =>
  columns.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${NAMES[name]}: ${FAILURES[failure]}`]));

const RATIOS: Readonly<Record<Ratio['name'], (times: string, first: string, second: string) => string>> = {
  batching: (times, first, second) =>
    `page-table work (ptemods) by single calls takes ${times} times the cycles that it takes in multicalls: ${first} exits an operation, not ${second}`,
  ring: (times, first, second) =>
    `block reads one at a time (blkread) take ${times} times the cycles of those in a deep ring (blkreads): ${first} exits a read, not ${second}`,
};
const ratios = (table: LabTable): string[] =>
  table.ratios.map(({ name, times, exits: [first, second] }) => RATIOS[name](number(times), count(first), count(second)));

function aligned({ head, rows }: Part): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ').trimEnd(); // prettier-ignore
  return [head, ...rows].map(line).join('\n');
}

/** For a terminal: costs, exits by reason, and why a column is empty. */
export function labText(table: LabTable): string {
  const most = table.rows.flatMap((row) =>
    row.costs.flatMap((entry, i) => {
      const of = costOf(entry);
      return of !== null && exitsOf(of) > 0 ? [`${row.benchmark}, ${NAMES[table.columns[i]!.name]}: ${exits(of, table.columns[i]!)}`] : [];
    }),
  ); // prettier-ignore
  return [
    aligned(costs(table)),
    ...failures(table),
    ...ratios(table),
    `Exits per operation:\n${most.map((text) => `  ${text}`).join('\n')}`,
  ].join('\n\n'); // prettier-ignore
}

/** For a document. */
export function labMarkdown(table: LabTable): string {
  const [left, right] = [costs(table), counts(table)];
  const head = `Measured on ${table.began.slice(0, 10)} on ${table.cpu}, Node ${process.versions.node}, by \`ringside bench techniques\`.`;
  const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
  const [why, brings] = [failures(table), ratios(table)].map((texts) => texts.map(sentence));
  return [head, markdown(left.head, left.rows), ...why!, markdown(right.head, right.rows), ...brings!].join('\n\n');
}
