/** Makes a failing program small: leaves out steps, then makes its settings plain, as long as it still fails. */
import { assemble } from './assembler.ts';
import type { Program } from './program.ts';

export type Fails = (program: Program) => boolean;

/** Delta debugging over the steps: halves, quarters, ... single ones, until nothing more can go. */
function withoutSteps(program: Program, fails: Fails): Program {
  let steps = [...program.steps];
  for (let size = Math.ceil(steps.length / 2); size >= 1;) {
    let changed = false;
    for (let at = 0; at < steps.length;) {
      const labels = (i: number): boolean => steps[i]!.labels.size > 0 && steps[i]!.bytes.length === 0;
      const taken = steps.map((s, i) => (i >= at && i < at + size && !s.needed && !labels(i) ? { ...s, bytes: [], fixes: [], sites: [], before: -1 } : s)); // prettier-ignore
      const left = taken.filter((s) => s.before !== -1 || s.labels.size > 0).map(({ before, ...s }) => (before === undefined || before < 0 ? s : { ...s, before })); // prettier-ignore
      if (left.length < steps.length && assemble(left) && fails({ ...program, steps: left })) {
        steps = left;
        changed = true;
      } else at += size;
    }
    if (!changed || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return { ...program, steps };
}

/** Settings one after the other as they are in a plain machine. */
function plain(program: Program, fails: Fails): Program {
  let now = program;
  const attempt = (next: Program): void => {
    if (fails(next)) now = next;
  };
  const settings = (change: Partial<Program['settings']>): void => attempt({ ...now, settings: { ...now.settings, ...change } });
  const pace = (change: Partial<Program['pace']>): void => attempt({ ...now, pace: { ...now.pace, ...change } });
  pace({ interrupts: 0 });
  pace({ patches: 0 });
  pace({ revisit: 1 << 15 });
  pace({ regions: 'small' });
  pace({ after: 1, batch: 1, compile: 'at once' });
  pace({ compile: 'at once' });
  for (const turn of [100_000, 2000, 300]) if (now.pace.turn < turn) pace({ turn });
  settings({ flags: 2 });
  settings({ mxcsr: 0x1f80, fpuControl: 0x37f });
  settings({ ring: 0 });
  settings({ fill: 1 });
  settings({ pae: false });
  return now;
}

export function shrink(program: Program, fails: Fails): Program {
  let now = program;
  for (let last = Infinity; now.steps.length < last;) {
    last = now.steps.length;
    now = plain(withoutSteps(now, fails), fails);
  }
  return now;
}
