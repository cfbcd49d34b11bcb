/** `ringside bench techniques`: the technique lab (core/host/lab) in a terminal. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../host/api.ts';
import { engineModules, pcpuModule } from '../host/assets.ts';
import { causeOf } from '../host/cause.ts';
import { compilerModule } from '../host/compiler.ts';
import { runLab } from '../host/lab/run.ts';
import { ioModule } from '../host/io.ts';
import { makeMemory } from '../host/machine.ts';
import { policyOf } from '../host/policies.ts';
import { Pool } from '../host/pool.ts';
import { labMarkdown, labText } from './lab-tables.ts';
import { putBetween } from './markdown.ts';
import { parseCommand, wholeNumber } from './options.ts';

const USAGE = 'ringside bench techniques [--json FILE] [--readme FILE] [--rounds N]';

const OPTIONS = { json: { type: 'string' }, readme: { type: 'string' }, rounds: { type: 'string' } } as const;

export async function benchCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(args, OPTIONS, 1, USAGE);
  if (positionals[0] !== 'techniques') throw new UserError(`There is nothing called "${positionals[0]}" to measure. Usage: ${USAGE}`);
  const rounds = values.rounds === undefined ? undefined : wholeNumber(values.rounds, '--rounds', 1, 100);
  // Now rather than after the measurement.
  const document = values.readme === undefined ? undefined : read(values.readme);
  if (values.json !== undefined) write(values.json, '{}\n');
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new UserError('Interrupted.'));
  process.once('SIGINT', interrupt);
  const pool = new Pool({
    pcpus: 1,
    policy: policyOf(undefined),
    worker: pcpuModule(),
    modules: await engineModules(),
    memory: makeMemory,
    compiler: compilerModule(),
    io: ioModule(),
  });
  try {
    const table = await runLab({
      pool,
      rounds,
      signal: stop.signal,
      progress: (_, done, all) => process.stderr.isTTY && process.stderr.write(`\r${done} of ${all} `),
    });
    if (process.stderr.isTTY) process.stderr.write('\r          \r');
    process.stdout.write(`${labText(table)}\n`);
    if (values.json !== undefined) write(values.json, `${JSON.stringify(table, null, 2)}\n`);
    if (values.readme !== undefined) {
      const text = putBetween(document!, 'lab', labMarkdown(table));
      write(values.readme, text!);
    }
    return 0;
  } finally {
    process.removeListener('SIGINT', interrupt);
    await pool.close();
  }
}

/** A document that has the place for the table. */
function read(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${path.resolve(file)} cannot be read: ${causeOf(error)}.`);
  }
  if (putBetween(text, 'lab', '') === undefined) throw new UserError(`${path.resolve(file)} has no <!-- lab --> … <!-- /lab -->.`);
  return text;
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UserError(`${path.resolve(file)} cannot be written: ${causeOf(error)}.`);
  }
}
