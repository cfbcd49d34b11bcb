/** The built-in guest looks at its processor from inside: at ring 1 it must find what it finds bare, and by hypercalls what makes sense there. */
import { expect, it } from 'vitest';
import { ringside } from './ringside.ts';

async function selfTest(technique: readonly string[]): Promise<void> {
  const { stdout, stderr } = await ringside(['run', ...technique, '--timeout', '300'], {
    limit: 320,
    answers: [[/corner> $/, 'selftest\n']],
    until: (output) => /SELFTEST \d+ passed/.test(output),
  });
  expect(stdout, stderr).toMatch(/SELFTEST [1-9]\d+ passed, 0 failed/);
}

it('the built-in guest passes its self-tests, bare', () => selfTest([]));
it('the built-in guest passes its self-tests, fully virtualized', () => selfTest(['--technique', 'full']));

it('the built-in guest passes its self-tests, paravirtualized', () => selfTest(['--technique', 'para']));
it('the built-in guest passes its self-tests, paravirtualized, each call alone', () =>
  selfTest(['--technique', 'para', '--batching', 'off', '--asynchrony', 'off']));

it('what a paravirtualized guest cannot test is said by name, and it powers itself off', async () => {
  const { stdout, stderr, status } = await ringside(
    [
      'run',
      '--technique',
      'para',
      '--timeout',
      '300',
      '--append',
      'run="selftest double-fault;selftest task-priority;selftest smep-smap;poweroff"',
    ],
    { limit: 320 },
  );
  for (const name of ['double-fault', 'task-priority', 'smep-smap']) expect(stdout, stderr).toMatch(new RegExp(`^n/a ${name}: .+`, 'm'));
  expect(status).toBe(0);
});
