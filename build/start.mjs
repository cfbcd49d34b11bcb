#!/usr/bin/env node
/**
 * npm start: the desktop app, or, where Electron's runtime or a display is missing, one line that says so and the same app served to the
 * browser. Arguments go on to `ringside serve` in the second case.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildParts } from './build.mjs';
import { root } from './paths.mjs';

/** Electron's program, or why there is none. Never requires the package: that would fetch the program. */
function runtime() {
  const folder = path.join(root, 'node_modules/electron');
  let name;
  try {
    name = readFileSync(path.join(folder, 'path.txt'), 'utf8').trim();
  } catch {
    return { missing: 'Electron’s runtime is not installed (npx install-electron fetches it)' };
  }
  const program = path.join(process.env.ELECTRON_OVERRIDE_DIST_PATH ?? path.join(folder, 'dist'), name);
  if (!existsSync(program)) return { missing: 'Electron’s runtime is not installed (npx install-electron fetches it)' };
  const display = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  return display ? { program } : { missing: 'there is no display' };
}

await buildParts([], { ifNeeded: true });
const { program, missing } = runtime();
if (program !== undefined) {
  const child = spawn(program, [root, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => (process.exitCode = signal === null ? (code ?? 1) : 1));
} else {
  process.stdout.write(`The desktop window cannot be opened, because ${missing}: serving the app to the browser instead.\n`);
  const { main } = await import('../dist/node/headless.js');
  process.exitCode = await main(process.argv.slice(2));
}
