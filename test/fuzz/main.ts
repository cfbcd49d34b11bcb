/**
 * `npm run fuzz -- [--programs 1000000] [--seed 1] [--mode 32|64] [--workers 1] [--most 3000] [--full]`: ends at the first difference, with status 1.
 * `npm run fuzz -- --para [--programs 1000000] [--seed 1]`: hypercalls and page-table operations of a paravirtualized VM instead (test/fuzz/para).
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules } from '../../core/processor/engine.ts';
import { FULL_ADAPT, FULL_ON, FULL_TRANSLATE } from '../../core/state/index.ts';
import type { Options } from './generate.ts';
import { fuzzPara } from './para/main.ts';
import { none, Search, type Totals } from './search.ts';

interface Work {
  readonly first: number;
  readonly programs: number;
  readonly workers: number;
  readonly options: Options;
}

interface Message {
  readonly totals: Totals;
  readonly failure: string | undefined;
}

/** Milliseconds between two messages of a worker. */
const EVERY = 2000;

async function work({ first, programs, workers, options }: Work): Promise<void> {
  const search = new Search(await compileModules(async (name) => readModule(name)), options);
  let told = performance.now();
  for (let seed = first; seed < first + programs; seed += workers) {
    const failure = search.run(seed);
    const now = performance.now();
    if (failure === undefined && now - told < EVERY) continue;
    told = now;
    parentPort!.postMessage({ totals: search.totals, failure } satisfies Message);
    if (failure !== undefined) return;
  }
  parentPort!.postMessage({ totals: search.totals, failure: undefined } satisfies Message);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      programs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      mode: { type: 'string' },
      workers: { type: 'string', default: '1' },
      most: { type: 'string', default: '3000' },
      full: { type: 'boolean', default: false },
      para: { type: 'boolean', default: false },
    },
  });
  if (values.para) {
    process.exitCode = (await fuzzPara(Number(values.programs), Number(values.seed))) ? 0 : 1;
    return;
  }
  if (values.mode !== undefined && values.mode !== '32' && values.mode !== '64') throw new Error(`--mode is 32 or 64, not ${values.mode}`);
  const workers = Number(values.workers);
  const full = values.full ? FULL_ON | FULL_TRANSLATE | FULL_ADAPT : 0;
  const options: Options = { full, most: Number(values.most), ...(values.mode ? { bits: Number(values.mode) as 32 | 64 } : {}) };
  await buildCore();
  const totals = Array.from({ length: workers }, none);
  const began = performance.now();
  const sum = (of: (t: Totals) => number): number => totals.reduce((n, t) => n + of(t), 0);
  const tell = (): void => {
    const seconds = (performance.now() - began) / 1000;
    const programs = sum((t) => t.programs);
    const a = (of: (t: Totals) => number): string => (sum(of) / programs).toFixed(1);
    const ends = `${sum((t) => t.halted)} halted, ${sum((t) => t.shutdowns)} shut down, ${sum((t) => t.allowed)} differed as they may`;
    console.log(
      `${programs} programs, ${(programs / seconds).toFixed(0)}/s; each ${a((t) => t.instructions)} instructions, ${a((t) => t.regions)} regions, ${a((t) => t.events)} events; ${ends}`,
    );
  };
  let shown = began;
  let failed = false;
  await Promise.all(
    totals.map(
      (_, n) =>
        new Promise<void>((resolve, reject) => {
          const first = Number(values.seed) + n;
          const worker = new Worker(new URL(import.meta.url), {
            workerData: { first, programs: Number(values.programs) - n, workers, options } satisfies Work,
          });
          worker.on('error', reject);
          worker.on('exit', () => resolve());
          worker.on('message', ({ totals: now, failure }: Message) => {
            totals[n] = now;
            if (failure !== undefined) {
              console.log(failure);
              failed = true;
              tell();
              process.exit(1);
            }
            if (performance.now() - shown < 10_000) return;
            shown = performance.now();
            tell();
          });
        }),
    ),
  );
  if (!failed) tell();
}

if (isMainThread) await main();
else await work(workerData as Work);
