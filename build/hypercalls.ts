/** Writes docs/hypercalls.md from the rows; `--check` only says whether it is up to date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import * as errno from '../core/vmm/para/errno.ts';
import { HYPERCALL_ROWS, type HypercallRow } from '../core/vmm/para/rows.ts';

const FILE = new URL('../docs/hypercalls.md', import.meta.url);

const errorName = (number: number): string => Object.entries(errno).find(([, value]) => value === number)?.[0] ?? `${number}`;

function line({ number, name, args, by, batch }: HypercallRow): string {
  const who = typeof by === 'number' ? `always -${errorName(by)}` : by === 'processor' ? 'WebAssembly' : '`core/vmm/para`';
  return `| ${number} | \`${name}\` | ${args.join(', ')} | ${who} | ${batch ? 'yes' : 'no'} |`;
}

const text = `# Hypercalls

Generated from the rows in \`core/vmm/para/rows.ts\` by \`node build/hypercalls.ts\`; not to be edited. Numbers and names are those of Xen's public header xen.h, without
\`__HYPERVISOR_\`. A number that is not here returns -ENOSYS. The last column: whether it may be an entry of a multicall.

| number | name | arguments | by | in a multicall |
| ---: | --- | --- | --- | --- |
${HYPERCALL_ROWS.map(line).join('\n')}
`;
if (!process.argv.includes('--check')) writeFileSync(FILE, text);
else if (!existsSync(FILE) || readFileSync(FILE, 'utf8') !== text) {
  console.error('docs/hypercalls.md is not what the rows say: run node build/hypercalls.ts');
  process.exitCode = 1;
}
