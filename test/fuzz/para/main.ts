/** The fuzzers of a paravirtualized VM, for as long as they are told: `npm run fuzz -- --para`. Both end at the first finding. */
import { preparePara } from '../../../core/machine/para-fixture.ts';
import { hypercallName } from '../../../core/vmm/para/rows.ts';
import { Calls } from './calls.ts';
import { Tables } from './tables.ts';

/** Hypercalls between two looks at all page tables; operations likewise. */
const BATCH = 50;
/** Milliseconds between two lines. */
const EVERY = 20_000;

const seconds = (began: number): string => ((performance.now() - began) / 1000).toFixed(0);

/** Does one batch after another until `amount` is reached; false: something was found, which has been said. */
function until(amount: number, step: () => string[], last: () => readonly string[], tell: (done: number) => void): boolean {
  let told = performance.now();
  for (let done = 0; done < amount; done += BATCH) {
    const findings = step();
    if (findings.length > 0) {
      console.log(`after ${done} to ${done + BATCH}:\n  ${findings.join('\n  ')}\nThe last were:\n  ${last().join('\n  ')}`);
      return false;
    }
    if (performance.now() - told < EVERY) continue;
    told = performance.now();
    tell(done + BATCH);
  }
  tell(amount);
  return true;
}

/** `amount` hostile hypercalls, then as many random page-table operations. */
export async function fuzzPara(amount: number, seed: number): Promise<boolean> {
  await preparePara();
  const began = performance.now();
  const calls = new Calls(seed);
  const { totals } = calls;
  const sum = (kind: 0 | 1 | 2): number => [...totals.results.values()].reduce((n, of) => n + of[kind], 0);
  const ends = (): string => [...totals.ends].map(([why, times]) => `${why}: ${times}`).join(', ');
  const tellCalls = (): void =>
    console.log(
      `${totals.calls} hypercalls in ${seconds(began)} s: ${sum(0)} errors, ${sum(1)} done, ${sum(2)} that did not come back; ${totals.guests} VMs (${ends()})`,
    );
  if (!until(amount, () => calls.run(BATCH), () => calls.last, tellCalls)) return false; // prettier-ignore
  for (const [number, [errors, done, gone]] of [...totals.results].sort(([a], [b]) => a - b))
    console.log(`  ${hypercallName(number)}: ${errors} errors, ${done} done, ${gone} did not come back`);
  const tables = new Tables(seed);
  const tellTables = (done: number): void => console.log(`${done} page-table operations in ${seconds(began)} s, ${tables.worlds} VMs`);
  if (!until(amount, () => tables.run(BATCH), () => [], tellTables)) return false; // prettier-ignore
  for (const [name, [times, successes]] of tables.counts) console.log(`  ${name}: ${times}, ${successes} with success`);
  return true;
}
