#!/usr/bin/env node
/** The `ringside` command. In a fresh checkout it builds what is missing first, and says so on standard error. */
import { existsSync } from 'node:fs';
import nodeModule from 'node:module';

// Where Node can, what it has compiled is kept for the next time. (In 20 it cannot; a worker thread does as the variable says.)
const cache = nodeModule.enableCompileCache?.();
if (cache?.directory) process.env.NODE_COMPILE_CACHE ??= cache.directory;

const built = (name) => new URL(`../dist/${name}`, import.meta.url);
const [command, ...rest] = process.argv.slice(2);
const parts = ['core', 'node', ...(command === 'serve' ? ['renderer'] : [])].filter((part) => !existsSync(built(`${part}/.built`)));
if (parts.length > 0) {
  const { buildParts } = await import('../build/build.mjs');
  await buildParts(parts);
}
if (command === 'serve') {
  const { main } = await import(built('node/headless.js').href);
  process.exitCode = await main(rest);
} else {
  const { main } = await import(built('node/cli.js').href);
  process.exitCode = await main(process.argv.slice(2));
}
