/** Everything that runs in Node or in Electron's main process, in one folder with shared chunks: dist/node. */
import path from 'node:path';
import { root } from './paths.mjs';

const common = { configFile: false, root, publicDir: false };

export const node = {
  ...common,
  // Nothing is external but Node's own modules and Electron: the built app needs no node_modules.
  ssr: { noExternal: true, external: ['electron'] },
  build: {
    ssr: true,
    outDir: path.join(root, 'dist/node'),
    emptyOutDir: true,
    target: 'node20.19',
    minify: false,
    sourcemap: true,
    reportCompressedSize: false,
    rollupOptions: {
      input: {
        cli: path.join(root, 'core/cli/index.ts'),
        worker: path.join(root, 'core/host/worker.ts'),
        io: path.join(root, 'core/host/io-worker.ts'),
        compiler: path.join(root, 'core/translator/worker.ts'),
        headless: path.join(root, 'electron/headless/index.ts'),
        main: path.join(root, 'electron/main/index.ts'),
      },
      // ws asks for these if they are there; it does without.
      external: ['electron', 'bufferutil', 'utf-8-validate'],
      // Workers are found beside the code that starts them: no sub-folders.
      output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: 'chunk-[name]-[hash].js' },
    },
  },
};

/** A sandboxed preload script must be CommonJS, and one file. */
export const preload = {
  ...common,
  ssr: { noExternal: true, external: ['electron'] },
  build: {
    ssr: true,
    outDir: path.join(root, 'dist/node'),
    emptyOutDir: false,
    target: 'es2023',
    minify: false,
    reportCompressedSize: false,
    rollupOptions: {
      input: { preload: path.join(root, 'electron/preload/index.ts') },
      external: ['electron'],
      output: { format: 'cjs', entryFileNames: '[name].cjs', codeSplitting: false },
    },
  },
};

/** `window.ringside` for a browser: a classic script, one file. */
export const browser = {
  ...common,
  build: {
    outDir: path.join(root, 'dist/headless'),
    emptyOutDir: true,
    target: 'es2023',
    reportCompressedSize: false,
    rollupOptions: {
      input: { browser: path.join(root, 'electron/headless/browser.ts') },
      output: { format: 'iife', entryFileNames: '[name].js', codeSplitting: false },
    },
  },
};
