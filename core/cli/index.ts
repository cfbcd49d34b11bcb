/** The `ringside` command: `serve` is a shell's (electron/headless), everything else is here. */
import { UserError } from '../host/api.ts';
import { causeOf } from '../host/cause.ts';
import { VERSION } from '../host/version.ts';

const USAGE = `Ringside ${VERSION}: virtual machines on a processor of its own.

  ringside run [--kernel FILE] [--initrd FILE] [--append STRING] [--module FILE]...
               [--disk FILE]... [--memory 512M] [--cpus N] [--cpu MODEL[,+flag,-flag]]
               [--technique full|para|hardware] [--engine interpreter|translator|kvm]
               [--translate-sensitive on|off] [--adaptive on|off]     of --technique full
               [--batching on|off] [--asynchrony on|off]              of --technique para
               [--pcpus N] [--policy NAME] [--serial stdio|FILE|none]
               [--test-devices] [--no-reboot] [--timeout SECONDS] [--stats FILE]
               runs one VM here: a kernel, else the first disk’s boot loader, else the built-in guest
  ringside translate FILE [--mode 64|32] [--base ADDRESS] [--at ADDRESS]
  ringside translate --at ADDRESS | --hottest N [--kernel FILE … as for run] [--timeout SECONDS]
               guest code beside the WebAssembly it becomes: of a file of code, or of what a guest runs
  ringside host [--json]               what this host can do
  ringside bench techniques [--json FILE] [--readme FILE] [--rounds N]
               what operations cost the built-in guest, by technique, with exits
  ringside serve [--port N]            the app, for a browser on this machine
  ringside list [--json]               the VMs of the library
  ringside create NAME [as for run]    adds a VM to it
  ringside start NAME                  starts one: in the running app, or here
  ringside stop NAME [--force]         presses its power button, or switches it off
  ringside attach NAME FILE [--readonly]
                                       gives one a disk: also while it runs, if its technique is para
  ringside detach NAME FILE|xvdX       takes a disk away
  ringside delete NAME                 removes it from the library; its disks stay

  --state DIR (or RINGSIDE_STATE) names another library.

Exit status of run: 0 the guest powered off; (value << 1) | 1 as isa-debug-exit says; 124 the time ran out;
3 triple fault; 2 a mistake in the command or a file, with one line that says what it is; 1 anything else.
`;

type Command = (args: string[]) => Promise<number>;

/** Each is loaded when it is asked for: a VM starts the sooner. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).runCommand,
  translate: async () => (await import('./translate.ts')).translateCommand,
  host: async () => (await import('./host.ts')).hostCommand,
  bench: async () => (await import('./bench.ts')).benchCommand,
  list: async () => (await import('./library.ts')).listCommand,
  create: async () => (await import('./library.ts')).createCommand,
  start: async () => (await import('./library.ts')).startCommand,
  stop: async () => (await import('./library.ts')).stopCommand,
  attach: async () => (await import('./library.ts')).attachCommand,
  detach: async () => (await import('./library.ts')).detachCommand,
  delete: async () => (await import('./library.ts')).deleteCommand,
};

/** Runs the command; resolves to the exit status. */
export async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  const asked = name === 'help' || name === '-h' || args.includes('--help');
  if (name === undefined || asked) {
    (asked ? process.stdout : process.stderr).write(USAGE);
    return asked ? 0 : 2;
  }
  if (name === '--version') {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  try {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined)
      throw new UserError(`There is no command "${name}": known are ${[...Object.keys(COMMANDS), 'serve'].join(', ')}.`);
    return await (
      await command()
    )(rest);
  } catch (error) {
    if (error instanceof UserError) return complain(error.message, 2);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && /^E[A-Z]+$/.test(code)) return complain(`${causeOf(error)} (${(error as Error).message})`, 2);
    return complain(error instanceof Error ? error.message || error.name : String(error), 1);
  }
}

/** Exactly one line. */
function complain(message: string, status: number): number {
  process.stderr.write(`ringside: ${message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
  return status;
}
