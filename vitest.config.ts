import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vitest/config';

/**
 * Four projects: `unit` (npm test: unit tests beside the code, conformance vectors, built guests), `guests` (npm run test:guests: real
 * systems through the command), `e2e` (npm run test:e2e: the app in a browser) and `long` (npm run test:long: what takes half an hour).
 */
export default defineConfig({
  plugins: [vue()],
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{core,electron,renderer,build}/**/*.test.ts', 'test/{bench,conformance,differential,fuzz}/**/*.test.ts'],
          exclude: ['core/processor/assembly/**', 'core/guest/image/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'guests',
          include: ['test/guests/**/*.test.ts'],
          globalSetup: ['test/guests/setup.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: { name: 'long', include: ['test/long/**/*.test.ts'], globalSetup: ['test/guests/setup.ts'], fileParallelism: false },
      },
      {
        extends: true,
        test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 120_000, fileParallelism: false },
      },
    ],
    passWithNoTests: true,
  },
});
