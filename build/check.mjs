#!/usr/bin/env node
/**
 * npm run check: types, lint, format, rooms, dead code, generated documents. Runs all of them and says which failed.
 * `check.mjs NAME ...` runs only those; `--fix` lets lint and format write.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const tool = (name) => path.join(root, 'node_modules/.bin', name);
const places = ['bin', 'build', 'core', 'electron', 'renderer', 'test'].filter((place) => existsSync(path.join(root, place)));
/** AssemblyScript's decorators are no TypeScript, and images are built elsewhere: linter and formatter leave them alone. */
const FOREIGN = ['core/processor/assembly/**', 'core/guest/image/**'];
const fix = process.argv.includes('--fix');

const checks = {
  types: [tool('tsc'), '--noEmit', '-p', 'tsconfig.json'],
  // vue-tsc checks the components, and the TypeScript that they reach.
  components: [
    tool('vue-tsc'),
    '--noEmit',
    '-p',
    existsSync(path.join(root, 'renderer/tsconfig.json')) ? 'renderer/tsconfig.json' : 'tsconfig.json',
  ],
  lint: [
    tool('oxlint'),
    '-c',
    'build/oxlint.json',
    '--deny-warnings',
    ...FOREIGN.flatMap((place) => ['--ignore-pattern', place]),
    ...(fix ? ['--fix'] : []),
    ...places,
  ],
  format: [tool('oxfmt'), '-c', 'build/oxfmt.json', fix ? '--write' : '--check', ...places, ...FOREIGN.map((place) => `!${place}`)],
  rooms: [process.execPath, 'build/rooms.mjs'],
  'dead code': [tool('knip'), '-c', 'build/knip.json', '--no-progress'],
  'support matrix': [process.execPath, 'build/matrix.ts', '--check'],
  hypercalls: [process.execPath, 'build/hypercalls.ts', '--check'],
};

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const unknown = wanted.filter((name) => !(name in checks));
if (unknown.length > 0) {
  console.error(`check: no check named ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`);
  process.exit(2);
}

const hasComponents =
  existsSync(path.join(root, 'renderer')) && readdirSync(path.join(root, 'renderer'), { recursive: true }).some((f) => f.endsWith('.vue'));
const failed = [];
for (const [name, [command, ...args]] of Object.entries(checks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  if (name === 'components' && !hasComponents) continue;
  const started = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = status === 0;
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (passed) continue;
  failed.push(name);
  process.stderr.write(error ? `${error.message}\n` : `${stdout}${stderr}`);
}
console.log(failed.length === 0 ? 'check: all passed' : `check: ${failed.length} failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
