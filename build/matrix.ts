/**
 * Writes docs/support-matrix.md from the instruction rows; `--check` only says whether it is up to date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseRows, rowSets, type Row } from '../core/spec/index.ts';

const FILE = new URL('../docs/support-matrix.md', import.meta.url);

const UNITS: readonly (readonly [Row['unit'], string])[] = [
  ['integer', 'General-purpose and system instructions'],
  ['x87', 'x87 FPU'],
  ['mmx', 'MMX'],
  ['simd', 'SSE to SSE4.2'],
];

/** Modes a row exists in. */
const modes = (row: Row): string => (row.i64 ? '16, 32' : row.o64 || row.rexW ? '64' : '16, 32, 64');

/** Bars would end a table's cell. */
const cell = (text: string): string => text.trim().replaceAll('|', '\\|');

function line(row: Row): string {
  const [encoding = '', instruction = ''] = row.text.split('|');
  const notes = [row.lock ? 'LOCK' : '', row.io ? 'IOPL' : '', row.needs === undefined ? '' : `CPUID: ${row.needs}`].filter(
    (note) => note !== '',
  );
  return `| \`${cell(instruction).replace(/\s+/g, ' ')}\` | \`${cell(encoding)}\` | ${modes(row)} | ${row.class} | ${row.helper === undefined ? 'family' : 'helper'} | ${notes.join(', ')} |`;
}

function text(): string {
  const rows = rowSets.flatMap(parseRows);
  const count = (of: (row: Row) => boolean): number => rows.filter(of).length;
  const mnemonics = new Set(rows.map((row) => row.mnemonic));
  const out = [
    '# Support matrix',
    '',
    'Generated from the rows in `core/spec/rows` by `node build/matrix.ts`; not to be edited. What has no row raises #UD, and is counted by',
    'opcode.',
    '',
    `${rows.length} rows, ${mnemonics.size} mnemonics: ${count((r) => r.class === 'innocuous')} innocuous, ${count((r) => r.class === 'sensitive')} sensitive (they do not trap at ring 3, but see or change`,
    `what the VMM must hide), ${count((r) => r.class === 'privileged')} privileged. The meaning is a semantic family (built into WebAssembly, and later by the translator), or a`,
    'helper in AssemblyScript. Sizes: `v` 16, 32 or 64 bits, `z` 16 or 32, `y` 32 or 64.',
  ];
  for (const [unit, title] of UNITS) {
    const of = rows.filter((row) => row.unit === unit);
    if (of.length === 0) continue;
    out.push('', `## ${title}`, '', '| instruction | encoding | modes | class | by | |', '|---|---|---|---|---|---|', ...of.map(line));
  }
  return `${out.join('\n')}\n`;
}

const wanted = text();
if (!process.argv.includes('--check')) writeFileSync(FILE, wanted);
else if (!existsSync(FILE) || readFileSync(FILE, 'utf8') !== wanted) {
  console.error('docs/support-matrix.md is not what the rows say: run node build/matrix.ts');
  process.exitCode = 1;
}
