/** `ringside run`: one VM in this process, its serial port on standard input and output. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { watch } from '../host/activity.ts';
import { UserError } from '../host/api.ts';
import { engineModules, pcpuModule } from '../host/assets.ts';
import { hostMemory, limits } from '../host/capabilities.ts';
import { checkDraft } from '../host/check.ts';
import { compilerModule } from '../host/compiler.ts';
import { ioModule } from '../host/io.ts';
import { monotonic } from '../host/clock.ts';
import type { Outcome } from '../host/executor.ts';
import { causeOf } from '../host/cause.ts';
import { makeMemory } from '../host/machine.ts';
import { policyOf } from '../host/policies.ts';
import { Pool, type Run } from '../host/pool.ts';
import { MACHINE_OPTIONS, machineOf, parseCommand, seconds, wholeNumber } from './options.ts';
import { statistics } from './statistics.ts';
import { Terminal } from './terminal.ts';

const USAGE =
  'ringside run [--kernel FILE] [--initrd FILE] [--append STRING] [--disk FILE] [--memory 512M] …; "ringside help" has all of it';

const OPTIONS = {
  ...MACHINE_OPTIONS,
  pcpus: { type: 'string' },
  policy: { type: 'string' },
  serial: { type: 'string', multiple: true },
  'test-devices': { type: 'boolean' },
  'no-reboot': { type: 'boolean' },
  timeout: { type: 'string' },
  stats: { type: 'string' },
} as const;

const MIB = 1 << 20;

/** How a run came to its end, and the status that the command exits with. */
export type Ending = { readonly status: number; readonly line?: string };

export function endingOf(outcome: Outcome): Ending {
  switch (outcome.kind) {
    case 'power-off':
    case 'reset':
      return { status: 0 };
    case 'debug-exit':
      return { status: outcome.value };
    case 'crash':
      if (outcome.status === 'triple-fault') return { status: 3, line: 'The guest’s processor shut down after a triple fault.' };
      return { status: 1, line: `The VM crashed: ${outcome.reason}` };
  }
}

export async function runCommand(args: string[]): Promise<number> {
  const { values } = parseCommand(args, OPTIONS, 0, USAGE);
  const serials = serialsOf(values.serial ?? ['stdio']);
  const timeout = values.timeout === undefined ? undefined : seconds(values.timeout, '--timeout');
  const pcpus = values.pcpus === undefined ? 1 : wholeNumber(values.pcpus, '--pcpus', 1, 1024);
  const policy = policyOf(values.policy);
  // Now rather than after hours of running.
  if (values.stats !== undefined) writeReport(values.stats, {});
  const memory = hostMemory();
  const draft = await checkDraft({ ...machineOf(values), name: 'run', serials: Math.max(1, serials.length) }, limits(memory.total));
  if (draft.memory > memory.free)
    throw new UserError(`The host has ${memory.free} MiB of memory free, and --memory asks for ${draft.memory}.`, 'memory');
  const sinks = serials.map(openSink);
  const pool = new Pool({
    pcpus,
    policy,
    worker: pcpuModule(),
    modules: await engineModules(),
    memory: makeMemory,
    compiler: compilerModule(),
    io: ioModule(),
  });
  const terminal = new Terminal();
  const began = monotonic();
  const cpuBegan = process.cpuUsage();
  let run: Run | undefined;
  let timer: NodeJS.Timeout | undefined;
  let unwatch: (() => void) | undefined;
  try {
    let end: (ending: Ending) => void = () => {};
    const ended = new Promise<Ending>((resolve) => (end = resolve));
    const stdio = serials.indexOf('stdio');
    /** What was typed before there was a machine. */
    const early: Uint8Array[] = [];
    const spec = { ...draft, memory: draft.memory * MIB, testDevices: values['test-devices'] };
    const boot = async (): Promise<void> => {
      run = await pool.boot(spec, {
        output: (port, data) => (port === stdio ? terminal.write(data) : sinks[port]?.(data)),
        note: (text) => process.stderr.write(`${text}\n`),
        ended: (outcome) => {
          if (outcome.kind === 'reset' && values['no-reboot'] !== true) {
            run?.release();
            boot().catch((error: unknown) => end({ status: 1, line: error instanceof Error ? error.message : String(error) }));
          } else {
            end(endingOf(outcome));
          }
        },
      });
      run.go();
      for (const data of early.splice(0)) run.write(stdio, data);
    };
    if (timeout !== undefined) timer = setTimeout(() => end({ status: 124, line: `The time ran out after ${timeout} s.` }), timeout * 1000);
    // Before the first boot: a signal must be able to end that too.
    const input = (data: Uint8Array): void => void (run === undefined ? early.push(data) : run.write(stdio, data));
    terminal.open({ input, quit: (status) => end({ status }) }, stdio >= 0);
    if (values.stats !== undefined) unwatch = watch(() => (run === undefined ? [] : [run]));
    const first = boot();
    // A boot that fails is an end as well.
    const ending = await Promise.race([ended, first.then(() => ended)]);
    run?.drain();
    await run?.end();
    await terminal.close();
    if (ending.line !== undefined) process.stderr.write(`ringside: ${ending.line}\n`);
    if (values.stats !== undefined && run !== undefined) {
      const report = statistics(run, {
        status: ending.status,
        began,
        cpuBegan,
        engine: draft.engine ?? 'translator',
        technique: draft.technique ?? 'automatic',
      });
      writeReport(values.stats, report);
    }
    return ending.status;
  } finally {
    clearTimeout(timer);
    unwatch?.();
    await terminal.close();
    await pool.close();
    for (const sink of sinks) sink?.();
  }
}

function writeReport(file: string, report: unknown): void {
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    throw new UserError(`The statistics cannot be written to ${path.resolve(file)}: ${causeOf(error)}.`);
  }
}

type Serial = 'stdio' | 'none' | { readonly file: string };

function serialsOf(given: readonly string[]): Serial[] {
  if (given.length > 4) throw new UserError('A VM has at most 4 serial ports.', 'serials');
  const serials = given.map((text): Serial => {
    if (text === 'stdio' || text === 'none') return text;
    if (text === '') throw new UserError('--serial is stdio, none or a file.', 'serials');
    return { file: path.resolve(text) };
  });
  if (serials.filter((serial) => serial === 'stdio').length > 1)
    throw new UserError('Only one serial port can be on standard input and output.', 'serials');
  return serials;
}

/** Writes to a file; called without data, closes it. */
function openSink(serial: Serial): ((data?: Uint8Array) => void) | undefined {
  if (typeof serial === 'string') return undefined;
  let handle: number;
  try {
    handle = openSync(serial.file, 'w');
  } catch (error) {
    throw new UserError(`The serial port’s file ${serial.file} cannot be written: ${causeOf(error)}.`, 'serials');
  }
  return (data) => {
    if (data === undefined) closeSync(handle);
    else for (let at = 0; at < data.length;) at += writeSync(handle, data, at);
  };
}
