/** What an instruction comes to, under whichever emitter. */
import { Cpu } from '../../state/index.ts';
import { i64 } from '../../wasm/index.ts';
import type { Emitter } from './emitter.ts';
import { families } from './index.ts';

/** Helpers that count themselves: for each iteration. */
const COUNTING: ReadonlySet<string> = new Set(['insb', 'ins', 'outsb', 'outs']);

/**
 * Emits the meaning of the emitter's row: its family's, or a call of its helper. A privileged or sensitive instruction is counted by its class
 * afterwards: one that faulted was not executed. (All of those have helpers, so that counting costs nothing that could be seen.)
 */
export function perform(e: Emitter): void {
  const { row } = e;
  if (!row.helper) {
    const family = families[row.family];
    if (!family) throw new Error(`row "${row.text}": no family "${row.family}" and no helper`);
    return family(e);
  }
  e.helper(row.helper, [e.record]);
  if (row.class === 'innocuous' || COUNTING.has(row.helper)) return;
  const counter = Cpu.offsets[row.class];
  e.store64(counter, i64.add(e.load64(counter), i64.const(1)));
}
