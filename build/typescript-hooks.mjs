/** For Node before 22.18, which does not run TypeScript by itself: `node --import ./build/typescript-hooks.mjs FILE.ts`. */
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

/** Called by Node, on the thread that it loads modules on. */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  const { default: typescript } = await import('typescript');
  const { outputText } = typescript.transpileModule(await readFile(fileURLToPath(url), 'utf8'), {
    compilerOptions: { target: 'ES2023', module: 'ESNext', verbatimModuleSyntax: true, sourceMap: false },
  });
  return { format: 'module', source: outputText, shortCircuit: true };
}

if (isMainThread && !process.features.typescript) register(import.meta.url);
