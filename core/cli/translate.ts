/** `ringside translate`: what the translator makes of guest code, as text: of a file of machine code, or of a guest while it runs. */
import { UserError } from '../host/api.ts';
import { hostMemory, limits } from '../host/capabilities.ts';
import { checkDraft } from '../host/check.ts';
import { MACHINE_OPTIONS, machineOf, parseCommand, seconds, wholeNumber } from './options.ts';
import { translateFile } from './translate-file.ts';
import { translateGuest } from './translate-guest.ts';

const USAGE =
  'ringside translate FILE [--mode 64|32] [--base ADDRESS] [--at ADDRESS] [--cpu MODEL], or ' +
  'ringside translate --at ADDRESS | --hottest N [--kernel FILE … as for run] [--timeout SECONDS]';

const OPTIONS = {
  ...MACHINE_OPTIONS,
  mode: { type: 'string' },
  base: { type: 'string' },
  at: { type: 'string' },
  hottest: { type: 'string' },
  timeout: { type: 'string' },
} as const;

/** Seconds that a guest is looked at, if nothing else was said. */
const TIMEOUT = 30;
const FILE_ONLY = ['mode', 'base'] as const;
const GUEST_ONLY = [
  'kernel',
  'initrd',
  'append',
  'module',
  'disk',
  'memory',
  'technique',
  'translate-sensitive',
  'adaptive',
  'engine',
  'hottest',
  'timeout',
] as const;

/** "0xffffffff81000000", or decimal. */
export function address(text: string, option: string): bigint {
  const match = /^(?:0x([0-9a-f]{1,16})|(\d{1,20}))$/i.exec(text.replaceAll('_', ''));
  const value = match === null ? -1n : BigInt(match[1] === undefined ? match[2]! : `0x${match[1]}`);
  if (value < 0n || value >= 1n << 64n) throw new UserError(`${option} is an address such as 0xffffffff81000000, not "${text}".`);
  return value;
}

export async function translateCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(args, OPTIONS, { least: 0, most: 1 }, USAGE);
  const [file] = positionals;
  const at = values.at === undefined ? undefined : address(values.at, '--at');
  const print = (text: string): void => void process.stdout.write(text);
  if (file !== undefined) {
    for (const option of GUEST_ONLY)
      if (values[option] !== undefined) throw new UserError(`--${option} goes with a guest, not with a file of code.`);
    if (values.mode !== undefined && values.mode !== '64' && values.mode !== '32') {
      throw new UserError(`--mode is 64 or 32, not "${values.mode}": 16-bit code is left to the interpreter.`);
    }
    const base = values.base === undefined ? 0n : address(values.base, '--base');
    print(await translateFile({ file, bits: values.mode === '32' ? 32 : 64, base, at: at ?? base, cpu: values.cpu ?? '' }));
    return 0;
  }
  for (const option of FILE_ONLY) if (values[option] !== undefined) throw new UserError(`--${option} goes with a file of code.`);
  const hottest = values.hottest === undefined ? undefined : wholeNumber(values.hottest, '--hottest', 1, 1000);
  if ((at === undefined) === (hottest === undefined)) {
    throw new UserError(`Give a file of machine code, or either --at or --hottest for what a guest runs. Usage: ${USAGE}`);
  }
  if (values.engine !== undefined && values.engine !== 'translator')
    throw new UserError(`The engine "${values.engine}" translates nothing.`);
  const timeout = values.timeout === undefined ? TIMEOUT : seconds(values.timeout, '--timeout');
  const draft = await checkDraft({ ...machineOf(values), name: 'translate', serials: 1 }, limits(hostMemory().total));
  print(await translateGuest({ draft, timeout, ...(at === undefined ? { hottest: hottest! } : { at }) }));
  return 0;
}
