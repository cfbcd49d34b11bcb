/** The built-in guest looks at its processor from inside: at ring 1 it must find what it finds bare. */
import { expect, it } from 'vitest';
import { ringside } from './ringside.ts';

it.each([
  { how: 'bare', technique: [] },
  { how: 'fully virtualized', technique: ['--technique', 'full'] },
])('the built-in guest passes its self-tests, $how', async ({ technique }) => {
  const { stdout, stderr } = await ringside(['run', ...technique, '--timeout', '300'], {
    limit: 320,
    answers: [[/corner> $/, 'selftest\n']],
    until: (output) => /SELFTEST \d+ passed/.test(output),
  });
  expect(stdout, stderr).toMatch(/SELFTEST [1-9]\d+ passed, 0 failed/);
});
