import { execFileSync } from 'node:child_process';
import { getPriority } from 'node:os';
import { expect, it } from 'vitest';
import { niceFor } from './priority.ts';

const at = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);

/** In a process of its own: this one's threads stay as they are. Names and nice values of all threads. */
const PROGRAM = `
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { v8MakesWay } from ${at('./priority.ts')};
v8MakesWay();
const threads = readdirSync('/proc/self/task').map((id) => [readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim(), getPriority(Number(id))]);
const own = getPriority();
let mayRaise = true;
try {
  setPriority(own + 1);
  setPriority(own);
} catch {
  mayRaise = false;
}
console.log(JSON.stringify({ threads, mayRaise }));
`;

it.runIf(process.platform === 'linux')('makes V8’s threads less urgent than all others', () => {
  const hooks = new URL('../../build/typescript-hooks.mjs', import.meta.url).href;
  const output = execFileSync(process.execPath, ['--import', hooks, '--input-type=module', '-e', PROGRAM], { encoding: 'utf8' });
  const { threads, mayRaise } = JSON.parse(output) as { threads: [string, number][]; mayRaise: boolean };
  const own = getPriority();
  const lowered = Math.min(own + (mayRaise ? 10 : 5), 19);
  expect(new Set(threads.filter(([name]) => name !== 'V8Worker').map(([, nice]) => nice))).toEqual(new Set([own]));
  // Older Nodes do not name them.
  if (Number.parseInt(process.versions.node, 10) >= 24)
    expect(new Set(threads.filter(([name]) => name === 'V8Worker').map(([, nice]) => nice))).toEqual(new Set([lowered]));
});

it('gives them more where they starve, until they do not', () => {
  expect([niceFor({ run: 0, waited: 0 }), niceFor({ run: 0, waited: 0 }, 5)]).toEqual([10, 5]);
  expect(niceFor({ run: 100, waited: 400 })).toBe(10);
  expect(niceFor({ run: 100, waited: 1500 })).toBe(5);
  expect(niceFor({ run: 100, waited: 700 }, 5)).toBe(5);
  expect(niceFor({ run: 100, waited: 300 }, 5)).toBe(10);
});
