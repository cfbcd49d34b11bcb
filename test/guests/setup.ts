/** Before the tests are collected: makes the guests, as far as this machine can. What is missing is skipped by name. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FOLDER } from './ringside.ts';

export default function setup(): void {
  mkdirSync(FOLDER, { recursive: true });
  if (process.platform !== 'linux') return;
  spawnSync('bash', [fileURLToPath(new URL('build-guests.sh', import.meta.url)), FOLDER], { stdio: ['ignore', 'ignore', 'inherit'] });
}
