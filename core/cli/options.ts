/** Options that several commands share, from text to values. Every mistake is a UserError with one sentence. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UserError, type Engine, type FullSwitches, type ParaSwitches, type Source, type Technique } from '../host/api.ts';
import { DEFAULT_MEMORY, DEFAULT_MEMORY_BUILTIN } from '../host/definition.ts';
import path from 'node:path';

type Options = NonNullable<ParseArgsConfig['options']>;

/** The options that say what a machine is made of. */
export const MACHINE_OPTIONS = {
  kernel: { type: 'string' },
  initrd: { type: 'string' },
  append: { type: 'string' },
  module: { type: 'string', multiple: true },
  disk: { type: 'string', multiple: true },
  cdrom: { type: 'string' },
  floppy: { type: 'string' },
  firmware: { type: 'string' },
  memory: { type: 'string' },
  cpus: { type: 'string' },
  cpu: { type: 'string' },
  technique: { type: 'string' },
  'translate-sensitive': { type: 'string' },
  adaptive: { type: 'string' },
  batching: { type: 'string' },
  asynchrony: { type: 'string' },
  engine: { type: 'string' },
} as const satisfies Options;

export type MachineValues = {
  readonly [K in keyof typeof MACHINE_OPTIONS]?: (typeof MACHINE_OPTIONS)[K] extends { multiple: true } ? string[] : string;
};

/** `parseArgs` whose mistakes are the user's. `positionals`: how many. */
export function parseCommand<T extends Options>(
  args: string[],
  options: T,
  positionals: number | { readonly least: number; readonly most: number },
  usage: string,
) {
  const { least, most } = typeof positionals === 'number' ? { least: positionals, most: positionals } : positionals;
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    const first = error instanceof Error ? error.message.split('. ')[0]! : String(error);
    throw new UserError(`${first.replace(/\.$/, '')}. Usage: ${usage}`);
  }
  if (parsed.positionals.length > most) {
    const extra = parsed.positionals[most]!;
    throw new UserError(`There is no place for "${extra}". Usage: ${usage}`);
  }
  if (parsed.positionals.length < least) throw new UserError(`Something is missing. Usage: ${usage}`);
  return parsed;
}

/** A whole number from `min` to `max`. */
export function wholeNumber(text: string, option: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UserError(`${option} is a whole number from ${min} to ${max}, not "${text}".`);
  return value;
}

/** Seconds, more than 0. */
export function seconds(text: string, option: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > 1e7)
    throw new UserError(`${option} is a number of seconds above 0, not "${text}".`);
  return value;
}

/** Throws for anything but "on" and "off". */
const onOrOff = (text: string, option: string): boolean => oneOf(text, option, ['on', 'off']) === 'on';

/** "512M", "1G", "256" (MiB): in MiB. */
export function memorySize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw new UserError(`--memory is a size such as 512M or 1G, not "${text}".`, 'memory');
  const factor = { k: 1 / 1024, m: 1, g: 1024, '': 1 }[match[2]!.toLowerCase() as 'k' | 'm' | 'g' | ''];
  const size = Number(match[1]) * factor;
  if (!Number.isInteger(size)) throw new UserError(`--memory must come to whole MiB, and "${text}" does not.`, 'memory');
  if (size === 0) throw new UserError('A VM needs at least 1 MiB of memory.', 'memory');
  return size;
}

const TECHNIQUES: readonly Technique[] = ['full', 'para', 'hardware'];
const ENGINES: readonly Engine[] = ['interpreter', 'translator', 'kvm'];

function oneOf<T extends string>(text: string, option: string, known: readonly T[]): T {
  const found = known.find((name) => name === text);
  if (found === undefined) throw new UserError(`${option} is one of ${known.join(', ')}, not "${text}".`);
  return found;
}

/** The machine that the options describe, as a draft without a name. */
export function machineOf(values: MachineValues) {
  for (const option of ['cdrom', 'floppy', 'firmware'] as const) {
    if (values[option] !== undefined) throw new UserError(`--${option} is not there yet: start from a kernel with --kernel.`);
  }
  const source = sourceOf(values);
  return {
    source,
    memory: values.memory === undefined ? (source.kind === 'builtin' ? DEFAULT_MEMORY_BUILTIN : DEFAULT_MEMORY) : memorySize(values.memory),
    vcpus: values.cpus === undefined ? 1 : vcpus(values.cpus),
    cpu: values.cpu,
    technique: values.technique === undefined ? undefined : oneOf(values.technique, '--technique', TECHNIQUES),
    full: fullOf(values),
    para: paraOf(values),
    engine: values.engine === undefined ? undefined : oneOf(values.engine, '--engine', ENGINES),
    disks: (values.disk ?? []).map((file) => ({ path: path.resolve(file) })),
  };
}

/** The switches of full virtualization; undefined: nothing was said of them. */
function fullOf(values: MachineValues): FullSwitches | undefined {
  const given = (['translate-sensitive', 'adaptive'] as const).find((name) => values[name] !== undefined);
  if (given === undefined) return undefined;
  if (values.technique !== 'full') throw new UserError(`--${given} goes with --technique full.`);
  return {
    translateSensitive: onOrOff(values['translate-sensitive'] ?? 'on', '--translate-sensitive'),
    adaptive: onOrOff(values.adaptive ?? 'on', '--adaptive'),
  };
}

/** The switches of paravirtualization; undefined: nothing was said of them. */
function paraOf(values: MachineValues): ParaSwitches | undefined {
  const given = (['batching', 'asynchrony'] as const).find((name) => values[name] !== undefined);
  if (given === undefined) return undefined;
  if (values.technique !== 'para') throw new UserError(`--${given} goes with --technique para.`);
  return {
    batching: onOrOff(values.batching ?? 'on', '--batching'),
    asynchrony: onOrOff(values.asynchrony ?? 'on', '--asynchrony'),
  };
}

function vcpus(text: string): number {
  if (!/^\d+$/.test(text)) throw new UserError(`--cpus is a whole number, not "${text}".`, 'vcpus');
  return Number(text);
}

function sourceOf(values: MachineValues): Source {
  if (values.kernel !== undefined) {
    if (values.kernel === '') throw new UserError('--kernel needs the path of a file.', 'source.kernel');
    return {
      kind: 'kernel',
      kernel: path.resolve(values.kernel),
      initrd: values.initrd === undefined ? undefined : path.resolve(values.initrd),
      append: values.append,
      modules: values.module?.map((file) => path.resolve(file)),
    };
  }
  for (const option of ['initrd', 'module'] as const) {
    if (values[option] !== undefined) throw new UserError(`--${option} goes with a --kernel.`, 'source.kernel');
  }
  if (values.disk !== undefined) {
    if (values.append !== undefined)
      throw new UserError('--append goes with a --kernel or the built-in guest: a disk has its own boot loader.');
    return { kind: 'disk' };
  }
  return { kind: 'builtin', append: values.append };
}
