/** The renderer: one build for Electron (file://) and for the headless server. */
import path from 'node:path';
import vue from '@vitejs/plugin-vue';
import { root } from './paths.mjs';

/** Electron loads the page from a file, where no server can send the policy; the headless server sends a like one as a header. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self' ws:",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

export default {
  configFile: false,
  root: path.join(root, 'renderer'),
  base: './',
  plugins: [
    vue(),
    {
      name: 'content-security-policy',
      transformIndexHtml: () => [
        { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
      ],
    },
  ],
  build: {
    outDir: path.join(root, 'dist/renderer'),
    emptyOutDir: true,
    target: 'es2023',
    // Everything comes from this machine: a data URL saves nothing, and the policy is plainer without.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4096,
    reportCompressedSize: false,
  },
};
