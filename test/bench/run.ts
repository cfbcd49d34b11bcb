/** npm run bench: what Ringside takes for the workloads, alone, against another commit, or against other emulators. README.md tells more. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { putBetween } from '../../core/cli/markdown.ts';
import { hypercallTable } from './hypercalls.ts';
import { measure, type Measured } from './measure.ts';
import { checkout, PEERS, ringside, thisTree, type Bits, type Program } from './programs.ts';
import { compareTable, mistakes, otherTable, timesTable } from './tables.ts';

const WORKLOADS = 'primes,cipher,sorting,bytecode,matrix,filter,text,list,calls,processes,pages,switches,newcode,gaps'.split(',');

/** Those that are about the kernel's work. */
const KERNEL = new Set(['calls', 'processes', 'pages', 'switches']);

const USAGE = `npm run bench -- [--against COMMIT|FOLDER] [--peers ${Object.keys(PEERS).join(',')}] [--guests 64,32]
  [--workloads ${WORKLOADS.slice(0, 3).join(',')},…] [--rounds N] [--repeat N] [--part PERCENT] [--engine NAME] [--cpu MODEL | --models 'MODEL MODEL …' | --techniques 'full para'] [--readme]`;

function fail(text: string): never {
  console.error(`bench: ${text}`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        against: { type: 'string' },
        peers: { type: 'string', default: '' },
        guests: { type: 'string', default: '64,32' },
        workloads: { type: 'string', default: WORKLOADS.join(',') },
        rounds: { type: 'string', default: '3' },
        repeat: { type: 'string', default: '3' },
        part: { type: 'string', default: '100' },
        limit: { type: 'string', default: '900' },
        engine: { type: 'string' },
        cpu: { type: 'string' },
        models: { type: 'string' },
        techniques: { type: 'string' },
        readme: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${(error as Error).message}\n${USAGE}`);
  }
}

const values = options();
const list = (text: string): string[] => text.split(',').filter((name) => name !== '');
const whole = (name: 'rounds' | 'repeat' | 'part' | 'limit'): number => {
  const value = Number(values[name]);
  return Number.isInteger(value) && value > 0 ? value : fail(`--${name} is a whole number above 0, not "${values[name]}"`);
};
const [rounds, repeat, part, limit] = [whole('rounds'), whole('repeat'), whole('part'), whole('limit')];
const guests = list(values.guests).map((text): Bits =>
  text === '64' ? 64 : text === '32' ? 32 : fail(`--guests are 64 and 32, not "${text}"`),
);
const names = list(values.workloads);
for (const name of names) if (!WORKLOADS.includes(name)) fail(`there is no workload "${name}"; there are ${WORKLOADS.join(', ')}`);
for (const name of list(values.peers))
  if (!Object.hasOwn(PEERS, name)) fail(`there is no peer "${name}"; there are ${Object.keys(PEERS).join(', ')}`);

const more = [
  ...(values.engine === undefined ? [] : ['--engine', values.engine]),
  ...(values.cpu === undefined ? [] : ['--cpu', values.cpu]),
];
const closers: (() => void)[] = [];
const end = (status: number): never => {
  for (const close of closers.splice(0)) close();
  process.exit(status);
};
process.on('SIGINT', () => end(130));

const tree = thisTree();
const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');
const each = (option: string, names: readonly string[]): Program[] => names.map((name) => ringside(tree, name, [...more, option, name]));
/** With `--models` or `--techniques`, this tree with each of them; the first is what the others are compared with. */
const variants = [...each('--cpu', words(values.models)), ...each('--technique', words(values.techniques))];
const [ours, ...others] = variants.length > 0 ? variants : [ringside(tree, 'Ringside', more)];
let other: Program | undefined;
if (values.against !== undefined) {
  if (existsSync(path.join(values.against, 'bin/ringside.mjs')))
    other = ringside(path.resolve(values.against), path.basename(path.resolve(values.against)), more);
  else {
    try {
      const tree = checkout(values.against);
      closers.push(tree.close);
      other = ringside(tree.folder, values.against, more);
    } catch (error) {
      fail(`${values.against} is neither a checkout nor a commit that can be built: ${(error as Error).message.split('\n')[0]}`);
    }
  }
}
const peers = list(values.peers).map((name) => PEERS[name]!());
for (const peer of peers) if (peer.close) closers.push(() => peer.close!());

/** Runs all of `programs` in turns; the order changes from round to round, for whoever comes second may find the host warmer. */
async function inTurns(bits: Bits, programs: readonly Program[]): Promise<Map<Program, Measured[]>> {
  const runs = new Map<Program, Measured[]>(programs.map((program) => [program, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const program of round % 2 === 1 ? programs : programs.toReversed()) {
      const run = await measure(program, { bits, names, repeat, part, limit });
      runs.get(program)!.push(run);
      const all = [...run.workloads.values()].reduce((sum, { seconds }) => sum + seconds.reduce((a, b) => a + b, 0), 0);
      console.error(`${bits}-bit, round ${round}, ${program.name}: boot ${run.boot.toFixed(2)} s, workloads ${all.toFixed(1)} s`);
    }
  }
  return runs;
}

try {
  const texts: string[] = [];
  let wrong: string[] = [];
  for (const bits of guests) {
    const programs = [ours!, ...others, ...(other ? [other] : []), ...peers].filter((program) => {
      const why = program.lacks(bits);
      if (why !== undefined && program === ours) fail(why);
      if (why !== undefined) console.error(`${bits}-bit, ${program.name}: left out: ${why}`);
      return why === undefined;
    });
    const runs = await inTurns(bits, programs);
    const qemu = programs.find((program) => program.name.startsWith('QEMU'));
    if (other) texts.push(compareTable(bits, runs, names, other, ours!));
    if (!other || peers.length > 0) texts.push(timesTable(bits, runs, names, qemu ?? ours!));
    const rest = otherTable(bits, runs);
    if (rest !== undefined) texts.push(rest);
    const kernels = names.filter((name) => KERNEL.has(name));
    for (const program of programs) if (program.console !== undefined) texts.push(hypercallTable(program, kernels, part));
    wrong = [...wrong, ...mistakes(runs).map((text) => `${bits}-bit: ${text}`)];
  }
  const text = texts.join('\n\n');
  console.log(text);
  for (const mistake of wrong) console.error(`bench: ${mistake}`);
  if (values.readme && wrong.length === 0) writeReadme(text);
  end(wrong.length > 0 ? 1 : 0);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  end(1);
}

/** Puts the tables between the README's markers, with what they were measured on, by what, and when. */
function writeReadme(tables: string): void {
  const file = fileURLToPath(new URL('../../README.md', import.meta.url));
  const cpu = os.cpus()[0]?.model.trim() ?? 'an unknown CPU';
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: path.dirname(file) }).trim();
  const args = process.argv.slice(2).filter((arg) => arg !== '--readme');
  const head =
    `Measured at commit ${commit} on ${new Date().toISOString().slice(0, 10)}, on ${os.cpus().length} threads of ${cpu}, Node ${process.versions.node}, by ` +
    `\`npm run bench -- ${args.join(' ')}\`: medians of ${rounds * repeat} repetitions, times by the host’s clock.`;
  const place = values.techniques === undefined ? 'bench' : 'techniques';
  const text = putBetween(readFileSync(file, 'utf8'), place, `${head}\n\n${tables}`);
  if (text === undefined) fail(`README.md has no <!-- ${place} --> … <!-- /${place} -->`);
  writeFileSync(file, text);
}
