/** What the packaged desktop app is made of: the built files alone; everything is bundled into them. */
export default {
  appId: 'invalid.ringside.app',
  productName: 'Ringside',
  directories: { output: 'out', buildResources: 'build/icons' },
  files: ['package.json', 'dist/core/**', 'dist/node/**', 'dist/renderer/**', '!**/*.map', '!**/.built', '!node_modules/**'],
  asar: true,
  // Worker threads and WebAssembly modules are opened by path.
  asarUnpack: ['dist/node/**', 'dist/core/**'],
  npmRebuild: false,
  nodeGypRebuild: false,
  linux: { target: ['deb', 'AppImage'], category: 'System', maintainer: 'The Ringside developers <developers@ringside.invalid>' },
  win: { target: ['nsis'] },
  mac: { target: ['dmg'], category: 'public.app-category.developer-tools' },
};
