/** `ringside list`, `create`, `start`, `stop`, `attach`, `detach` and `delete`: the VM library, through the running app if there is one. */
import path from 'node:path';
import { UserError, type DamagedDefinition, type VmDefinition, type VmDraft, type VmSummary } from '../host/api.ts';
import { hostMemory, limits } from '../host/capabilities.ts';
import { checkDraft } from '../host/check.ts';
import { ask, type ControlReply, type ControlRequest } from '../host/control.ts';
import { diskOf, withDisk, withoutDisk } from '../host/disks.ts';
import { createHost } from '../host/host.ts';
import { Library, stateFolder } from '../host/library.ts';
import { holder } from '../host/lock.ts';
import { MACHINE_OPTIONS, machineOf, parseCommand, wholeNumber } from './options.ts';
import { Terminal } from './terminal.ts';

const STATE = { state: { type: 'string' } } as const;

/** Asks the running app; undefined if none runs. */
async function running(folder: string, request: ControlRequest): Promise<ControlReply | undefined> {
  const contact = await holder(folder);
  return contact === undefined ? undefined : ask(contact, request);
}

/** What the library holds, with the states that the running app knows. */
async function overview(folder: string): Promise<{ vms: readonly VmSummary[]; damaged: readonly DamagedDefinition[] }> {
  const reply = await running(folder, { command: 'list' });
  if (reply !== undefined) return { vms: reply.vms ?? [], damaged: reply.damaged ?? [] };
  const library = await Library.open(folder);
  const vms = library.list().map((definition) => ({ definition, state: 'off', since: definition.created }) as const);
  return { vms, damaged: library.damaged };
}

/** The VM with this id, or the only one with this name. */
async function find(folder: string, name: string): Promise<VmSummary> {
  const { vms } = await overview(folder);
  const byId = vms.find((vm) => vm.definition.id === name);
  if (byId !== undefined) return byId;
  const [first, second] = vms.filter((vm) => vm.definition.name === name);
  if (first === undefined) throw new UserError(`There is no VM "${name}".`);
  if (second !== undefined) throw new UserError(`Several VMs have the name "${name}": give the id of one, as "ringside list" shows it.`);
  return first;
}

export async function listCommand(args: string[]): Promise<number> {
  const { values } = parseCommand(args, { ...STATE, json: { type: 'boolean' } }, 0, 'ringside list [--json] [--state DIR]');
  const { vms, damaged } = await overview(stateFolder(values.state));
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ vms, damaged }, null, 2)}\n`);
    return 0;
  }
  const rows = vms.map(({ definition: d, state }) => [d.id, state, `${d.memory} MiB`, what(d), d.name]);
  const widths = [0, 1, 2, 3].map((i) => Math.max(0, ...rows.map((row) => row[i]!.length)));
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
  if (rows.length === 0) process.stderr.write('There are no VMs yet.\n');
  for (const { file, reason } of damaged) process.stderr.write(`${file} is damaged and was left alone: ${reason}\n`);
  return 0;
}

function what({ source }: VmDefinition): string {
  return source.kind === 'kernel' ? source.kernel : source.kind === 'builtin' ? 'built-in guest' : 'disk';
}

export async function createCommand(args: string[]): Promise<number> {
  const usage =
    'ringside create NAME [--kernel FILE] [--initrd FILE] [--append STRING] [--disk FILE] [--memory 512M] [--cpus N] [--cpu MODEL] [--serials N]';
  const options = { ...STATE, ...MACHINE_OPTIONS, name: { type: 'string' }, serials: { type: 'string' } } as const;
  // The name stands by itself, or after --name.
  const named = args.some((arg) => arg === '--name' || arg.startsWith('--name='));
  const { values, positionals } = parseCommand(args, options, named ? 0 : 1, usage);
  const draft = {
    ...machineOf(values),
    name: values.name ?? positionals[0]!,
    serials: wholeNumber(values.serials ?? '1', '--serials', 1, 4),
  };
  const checked = await checkDraft(draft, limits(hostMemory().total));
  const folder = stateFolder(values.state);
  const reply = await running(folder, { command: 'create', draft: checked });
  const definition = reply?.vm?.definition ?? (await (await Library.open(folder)).add(checked));
  process.stdout.write(`${definition.id}\n`);
  return 0;
}

export async function startCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(args, STATE, 1, 'ringside start NAME [--state DIR]');
  const folder = stateFolder(values.state);
  const { definition } = await find(folder, positionals[0]!);
  if ((await running(folder, { command: 'start', id: definition.id })) !== undefined) return 0;
  return startHere(folder, definition);
}

/** Nobody looks after the library: this process does, until the VM is off, with its first serial port on the terminal. */
async function startHere(folder: string, definition: VmDefinition): Promise<number> {
  process.stderr.write('No Ringside is running, so the VM runs here (Ctrl-A x switches it off).\n');
  const { id } = definition;
  const host = await createHost({ folder });
  const terminal = new Terminal();
  try {
    const done = new Promise<number>((resolve) => {
      let begun = false;
      host.on('console', (from, port, data) => {
        if (from === id && port === 0) terminal.write(data);
      });
      host.on('change', (changed, summary) => {
        if (changed !== id || summary === undefined) return;
        begun ||= summary.state === 'running';
        if (summary.state === 'crashed') {
          process.stderr.write(`ringside: ${summary.reason ?? 'The VM crashed.'}\n`);
          resolve(1);
        } else if (begun && summary.state === 'off') {
          resolve(0);
        }
      });
      terminal.open({ input: (data) => host.write(id, 0, data), quit: (status) => resolve(status) });
    });
    await host.start(id);
    return await done;
  } finally {
    await terminal.close();
    await host.close();
  }
}

export async function stopCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(
    args,
    { ...STATE, force: { type: 'boolean' } },
    1,
    'ringside stop NAME [--force] [--state DIR]',
  );
  const folder = stateFolder(values.state);
  const { definition } = await find(folder, positionals[0]!);
  const reply = await running(folder, { command: values.force === true ? 'forceOff' : 'stop', id: definition.id });
  if (reply === undefined) throw new UserError(`“${definition.name}” is not running.`);
  return 0;
}

export async function attachCommand(args: string[]): Promise<number> {
  const usage = 'ringside attach NAME FILE [--readonly] [--state DIR]';
  const { values, positionals } = parseCommand(args, { ...STATE, readonly: { type: 'boolean' } }, 2, usage);
  const folder = stateFolder(values.state);
  const { definition } = await find(folder, positionals[0]!);
  const disk = { path: path.resolve(positionals[1]!), readonly: values.readonly };
  const reply = await running(folder, { command: 'attach', id: definition.id, ...disk });
  if (reply === undefined) await rewrite(folder, withDisk(definition, disk), definition.id);
  // What the guest calls it.
  else if (reply.disk !== undefined) process.stdout.write(`${reply.disk}\n`);
  return 0;
}

export async function detachCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(args, STATE, 2, 'ringside detach NAME FILE|xvdX [--state DIR]');
  const folder = stateFolder(values.state);
  const { definition } = await find(folder, positionals[0]!);
  const name = /^xvd[a-p]$/.test(positionals[1]!) ? positionals[1]! : path.resolve(positionals[1]!);
  const reply = await running(folder, { command: 'detach', id: definition.id, disk: name });
  if (reply !== undefined) return 0;
  const disk = diskOf(definition, name);
  if (disk === undefined) throw new UserError(`“${definition.name}” has no disk ${name}.`);
  await rewrite(folder, withoutDisk(definition, disk), definition.id);
  return 0;
}

async function rewrite(folder: string, draft: VmDraft, id: string): Promise<void> {
  const checked = await checkDraft(draft, limits(hostMemory().total));
  await (await Library.open(folder)).replace(id, checked);
}

export async function deleteCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(args, STATE, 1, 'ringside delete NAME [--state DIR]');
  const folder = stateFolder(values.state);
  const { definition } = await find(folder, positionals[0]!);
  const reply = await running(folder, { command: 'delete', id: definition.id });
  if (reply === undefined) await (await Library.open(folder)).remove(definition.id);
  return 0;
}
