/** A region as text: the guest's code beside the WebAssembly that it became. For golden texts and `ringside translate`. */
import { disassemble } from '../processor/disassemble.ts';
import { CODE_64, Control, Cpu, fieldAt, PAGE } from '../state/index.ts';
import { functionText } from '../wasm/index.ts';
import { Accesses } from './access.ts';
import { buildRegion, Imports } from './compile.ts';
import type { Region } from './region.ts';

/** Types that regions use: the handlers' is the only one. */
const HANDLER_TYPE = 0;
const LEFT = 44;

/** Fields by name, records by the address of their instruction: a listing does not change with a layout. */
function symbolic(text: string, records: ReadonlyMap<number, string>): string {
  return text
    .replace(/\+0x([0-9a-f]+) \$cpu\b/g, (_, n: string) => `$cpu.${fieldAt(Cpu, parseInt(n, 16))}`)
    .replace(/(\.(?:load|store)[\w.]*) \$cpu\b(?!\.)/g, (_, name: string) => `${name} $cpu.${fieldAt(Cpu, 0)}`)
    .replace(/\(i32\.add \$cpu 0x([0-9a-f]+)\)/g, (_, n: string) => `&$cpu.${fieldAt(Cpu, parseInt(n, 16))}`)
    .replace(
      /(Address \$cpu) 0x([0-9a-f]+)/g,
      (_, call: string, n: string) => `${call} &${fieldAt(Cpu, parseInt(n, 16)).replace(/\.base$/, '')}`,
    )
    .replace(/\+0x([0-9a-f]+) 0\b/g, (_, n: string) => `control.${fieldAt(Control, parseInt(n, 16))}`)
    .replace(/(?<!:)\b0x[0-9a-f]{5,}\b/g, (n) => records.get(parseInt(n, 16)) ?? n);
}

/**
 * The listing of a region that was just found (its records are as the decoder wrote them). `page` is the linear address of its page; without
 * it, the physical one is shown.
 */
export function listRegion(region: Region, view: DataView, page: bigint = BigInt(region.page) * BigInt(PAGE)): string {
  const imports = new Imports();
  const accesses = new Accesses();
  const f = buildRegion(region, view, imports.find, accesses, HANDLER_TYPE, 0, 0);
  accesses.list.forEach((a, i) => (a.index = imports.list.length + i));
  const code = f.encode().view();
  const statements = functionText(code, {
    local: (index) => ['cpu', 'record'][index] ?? f.names.get(index),
    function: (index) => {
      const i = imports.list[index] ?? accesses.list[index - imports.list.length];
      return i && { name: i.name, params: i.params.length, result: i.results.length > 0 };
    },
    type: (index) => (index === HANDLER_TYPE ? { params: 2, result: true } : undefined),
  });
  const instructions = new Map(region.blocks.flatMap((b) => b.instructions.map((i) => [i.record, i] as const)));
  const records = new Map([...instructions].map(([record, i]) => [record, `#${(page + BigInt(i.offset)).toString(16)}`]));
  const leaders = new Set(region.blocks.map((b) => b.offset));
  const lines: string[] = [];
  const head = [
    `${region.mode === CODE_64 ? 64 : 32}-bit`,
    `${region.instructions} instructions`,
    `${region.blocks.length} blocks`,
    `${code.length} bytes of WebAssembly`,
  ];
  lines.push(`; ${head.join(', ')}`);
  /** What stands on the left, until a line on the right takes it along. */
  const left: string[] = [];
  const { marks } = f;
  let mark = 0;
  const row = (text: string): void => void lines.push(`${(left.shift() ?? '').padEnd(LEFT)}| ${text}`.trimEnd());
  for (const statement of statements) {
    for (; mark < marks.length && marks[mark]!.offset <= statement.offset; mark++) {
      while (left.length > 0) row('');
      const i = instructions.get(marks[mark]!.value);
      if (!i) continue;
      const address = page + BigInt(i.offset);
      if (leaders.has(i.offset)) row('');
      left.push(`${address.toString(16)}  ${disassemble(view, i.record, i.handler, address)}${i.row ? '' : '  (interpreted)'}`);
    }
    row(`${'  '.repeat(statement.depth)}${symbolic(statement.text, records)}`);
  }
  return `${lines.join('\n')}\n`;
}
