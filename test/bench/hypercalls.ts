/** What a paravirtualized guest asks the VMM for in one repetition of a workload: what a run with one more of them has more. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { markdown } from '../../core/cli/markdown.ts';
import type { CallCount, ParaStatistics } from '../../core/vmm/para/statistics.ts';
import type { Program } from './programs.ts';

type Counts = ReadonlyMap<string, CallCount>;

/** Repetitions that are counted. */
const MORE = 4;
/** Per repetition: what comes more seldom is the timer's. */
const LEAST = 100;

function counts(program: Program, name: string, repeat: number, part: number, file: string): Counts {
  const append = `console=${program.console} quiet panic=-1 nokaslr bench=${name} repeat=${repeat} part=${part}`;
  const [command, args] = program.command(64, [name, String(repeat), String(part)], append);
  const { status, stderr } = spawnSync(command, [...args, '--stats', file], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program.name}: ${name} ended with status ${status}: ${stderr.trim()}`);
  const { para } = JSON.parse(readFileSync(file, 'utf8')) as { para: ParaStatistics };
  return new Map(Object.entries(para.calls));
}

/** In thousands, of each workload. */
export function hypercallTable(program: Program, names: readonly string[], part: number): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'ringside-bench-'));
  try {
    const rows = names.map((name) => {
      const [few, many] = [1, 1 + MORE].map((repeat) => counts(program, name, repeat, part, path.join(folder, 'stats.json')));
      const each = [...many!].map(([call, { count, batched }]) => {
        const before = few!.get(call);
        return { call, count: (count - (before?.count ?? 0)) / MORE, batched: (batched - (before?.batched ?? 0)) / MORE };
      });
      const all = each.filter(({ count }) => count >= LEAST).toSorted((a, b) => b.count - a.count);
      const text = (n: number): string => (n / 1000).toFixed(1);
      return [
        name,
        text(all.reduce((sum, { count }) => sum + count, 0)),
        all
          .map(({ call, count, batched }) => `${call} ${text(count)}${batched >= LEAST ? ` (${text(batched)} in a multicall)` : ''}`)
          .join(', '),
      ];
    });
    return markdown([`hypercalls of a repetition, ${program.name}, thousands`, 'all', 'which'], rows);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
