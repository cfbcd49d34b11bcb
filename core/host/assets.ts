/** Built files that the core needs at run time: beside the bundled code (dist/core), or where the build puts them when run from source. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { compileModules } from '../processor/modules.ts';

const PLACES = [new URL('../core/', import.meta.url), new URL('../../dist/core/', import.meta.url)];

/** The path of a built file. Throws if it has not been built. */
export function asset(name: string): string {
  for (const place of PLACES) {
    const file = fileURLToPath(new URL(name, place));
    if (existsSync(file)) return file;
  }
  throw new Error(`${name} has not been built: run "npm run build:core"`);
}

/** The engine's modules, compiled once for all threads. */
export async function engineModules(): Promise<Readonly<Record<string, WebAssembly.Module>>> {
  return { ...(await compileModules((name) => readFile(asset(name)))) };
}

/** The module that a pCPU's thread runs. */
export const pcpuModule = (): URL => new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
