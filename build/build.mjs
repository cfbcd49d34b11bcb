#!/usr/bin/env node
/**
 * Builds into dist/: `build.mjs [core] [node] [renderer] [--if-needed]`; without names, everything. With --if-needed, a part is built only if
 * it is missing or older than its sources, and a line on standard error says so.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { root } from './paths.mjs';

const at = (...parts) => path.join(root, ...parts);

/** The built-in guest's image: built by hand and committed, so only copied. */
function copyGuest() {
  const image = at('core/guest/image');
  if (!existsSync(image)) return;
  mkdirSync(at('dist/core'), { recursive: true });
  for (const name of readdirSync(image)) {
    if (!name.endsWith('.elf')) continue;
    const temporary = at('dist/core', `${name}.${process.pid}.tmp`);
    copyFileSync(path.join(image, name), temporary);
    renameSync(temporary, at('dist/core', name));
  }
}

/** Runs a TypeScript script. */
function runTypeScript(script) {
  const hooks = pathToFileURL(at('build/typescript-hooks.mjs')).href;
  const { status } = spawnSync(process.execPath, ['--import', hooks, at(script)], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`${script} failed`);
}

const parts = {
  core: {
    sources: ['core/processor', 'core/spec', 'core/state', 'core/wasm', 'core/guest/image', 'build/core.ts'],
    stamp: 'dist/core/.built',
    run() {
      runTypeScript('build/core.ts');
      copyGuest();
    },
  },
  node: {
    sources: ['core', 'electron', 'build/vite.node.mjs', 'package.json'],
    stamp: 'dist/node/.built',
    async run(logLevel) {
      const { node, preload, browser } = await import('./vite.node.mjs');
      await build({ ...node, logLevel });
      await build({ ...preload, logLevel });
      await build({ ...browser, logLevel });
    },
  },
  renderer: {
    sources: ['renderer', 'electron/ipc.ts', 'build/vite.renderer.mjs', 'package.json'],
    stamp: 'dist/renderer/.built',
    async run(logLevel) {
      const { default: renderer } = await import('./vite.renderer.mjs');
      await build({ ...renderer, logLevel });
    },
  },
};

/** When something under `place` last changed, in ms. Tests do not count. */
function newest(place) {
  const status = statSync(at(place), { throwIfNoEntry: false });
  if (status === undefined) return 0;
  if (!status.isDirectory()) return /\.test\.ts$/.test(place) ? 0 : status.mtimeMs;
  return Math.max(0, ...readdirSync(at(place)).map((name) => newest(path.join(place, name))));
}

/** The TypeScript of AssemblyScript's layout is written by the build itself. */
const needed = ({ sources, stamp }) => {
  const built = statSync(at(stamp), { throwIfNoEntry: false });
  return built === undefined || sources.some((source) => newest(source) > built.mtimeMs);
};

/** Builds the named parts (all of them if none is named). */
export async function buildParts(names, { ifNeeded = false } = {}) {
  for (const [name, part] of Object.entries(parts)) {
    if (names.length > 0 && !names.includes(name)) continue;
    if (ifNeeded && !needed(part)) continue;
    if (ifNeeded) process.stderr.write(`Building ${name} …\n`);
    const started = performance.now();
    await part.run('warn');
    writeFileSync(at(part.stamp), '');
    process.stderr.write(`Built ${name} in ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
  }
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === at('build/build.mjs')) {
  const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const unknown = names.filter((name) => !(name in parts));
  if (unknown.length > 0) {
    process.stderr.write(`build: no part named ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}\n`);
    process.exitCode = 2;
  } else {
    await buildParts(names, { ifNeeded: process.argv.includes('--if-needed') });
  }
}
