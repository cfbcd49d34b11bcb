/**
 * npm run bench -- [PROGRAM ...] [--rounds N] [--guest 32|64]: the same guest and workload under several programs, taking turns, so that
 * what else the machine does hits all alike. Times are by this host's clock; medians and their ratio to the first program are printed.
 *
 * PROGRAM: a checkout of Ringside (a folder; `.` is this one), `qemu` (QEMU TCG, one thread), or `native` (the workload on this host).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { guest, missing } from '../guests/ringside.ts';

/** @typedef {{ boot: number, workload: number, checks: string }} Times  Seconds from the start to GUEST-UP, from there to GUEST-DONE; what the workload printed. */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, guest: { type: 'string', default: '64' } },
});
const bits = values.guest === '32' ? '32' : '64';
const programs = positionals.length > 0 ? positionals : ['.'];
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('bench: --rounds is a whole number above 0');
  process.exit(2);
}
if (missing(`kernel${bits}`, `initrd${bits}.gz`, `workload${bits}`)) {
  console.error('bench: the guests are not there; test/guests/build-guests.sh FOLDER makes them, RINGSIDE_GUESTS=FOLDER names it');
  process.exit(2);
}

function command(program) {
  const boot = ['--kernel', guest(`kernel${bits}`), '--initrd', guest(`initrd${bits}.gz`)];
  const append = 'console=ttyS0,115200 quiet panic=-1 nokaslr';
  if (program === 'native') return ['sh', ['-c', `echo GUEST-UP; ${guest(`workload${bits}`)}; echo GUEST-DONE`]];
  if (program === 'qemu') {
    const qemu = bits === '64' ? 'qemu-system-x86_64' : 'qemu-system-i386';
    const machine = ['-accel', 'tcg,thread=single', '-m', '256', '-display', 'none', '-nodefaults', '-no-reboot', '-serial', 'stdio'];
    return [qemu, [...machine, ...boot.map((part) => part.replace(/^--/, '-')), '-append', append]];
  }
  const script = path.join(program, 'bin/ringside.mjs');
  if (!existsSync(script)) throw new Error(`${program} is neither a checkout of Ringside nor qemu nor native`);
  return [process.execPath, [script, 'run', ...boot, '--append', append, '--memory', '256M']];
}

function run(program) {
  const [file, args] = command(program);
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const seen = {};
    let output = '';
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.setEncoding('latin1').on('data', (text) => {
      output += text;
      for (const mark of ['GUEST-UP', 'GUEST-DONE'])
        if (!(mark in seen) && output.includes(mark)) seen[mark] = (performance.now() - started) / 1000;
    });
    child.on('error', reject);
    child.on('close', () => {
      const [up, done] = [seen['GUEST-UP'], seen['GUEST-DONE']];
      if (up === undefined || done === undefined)
        reject(new Error(`${program}: the guest did not finish; it said:\n${output.slice(-2000)}`));
      else resolve({ boot: up, workload: done - up, checks: (output.match(/CHECK \S+ [0-9a-f]{8}/g) ?? []).join('\n') });
    });
  });
}

const median = (of) => of.toSorted((a, b) => a - b)[of.length >> 1];

const all = new Map(programs.map((program) => [program, []]));
for (let round = 1; round <= rounds; round++) {
  for (const program of programs) {
    const times = await run(program);
    all.get(program).push(times);
    console.error(`round ${round}, ${program}: boot ${times.boot.toFixed(2)} s, workload ${times.workload.toFixed(2)} s`);
  }
}
const wanted = all.get(programs[0])[0].checks;
for (const [program, times] of all) {
  if (times.some(({ checks }) => checks !== wanted)) {
    console.error(`bench: ${program} computed something else than ${programs[0]}`);
    process.exitCode = 1;
  }
}
const first = all.get(programs[0]);
console.log(`| ${bits}-bit Linux, ${rounds} rounds, medians | boot, s | ratio | workload, s | ratio |`);
console.log('|---|---:|---:|---:|---:|');
for (const [program, times] of all) {
  const [boot, workload] = [median(times.map((t) => t.boot)), median(times.map((t) => t.workload))];
  const [boot0, workload0] = [median(first.map((t) => t.boot)), median(first.map((t) => t.workload))];
  console.log(
    `| ${program} | ${boot.toFixed(2)} | ${(boot / boot0).toFixed(2)} | ${workload.toFixed(2)} | ${(workload / workload0).toFixed(2)} |`,
  );
}
