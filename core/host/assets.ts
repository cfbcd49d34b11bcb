/** Built files that the core needs at run time: beside the bundled code (dist/core), or where the build puts them when run from source. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const PLACES = [new URL('../core/', import.meta.url), new URL('../../dist/core/', import.meta.url)];

/** The path of a built file. Throws if it has not been built. */
export function asset(name: string): string {
  for (const place of PLACES) {
    const file = fileURLToPath(new URL(name, place));
    if (existsSync(file)) return file;
  }
  throw new Error(`${name} has not been built: run "npm run build:core"`);
}

const ENGINE = ['helpers.wasm', 'interpreter.wasm'] as const;

/** The engine's modules, compiled once for all threads. */
export async function engineModules(): Promise<Record<(typeof ENGINE)[number], WebAssembly.Module>> {
  const modules = await Promise.all(ENGINE.map(async (name) => [name, await WebAssembly.compile(await readFile(asset(name)))] as const));
  return Object.fromEntries(modules) as Record<(typeof ENGINE)[number], WebAssembly.Module>;
}
