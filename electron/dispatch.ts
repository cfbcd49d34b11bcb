/** Between a shell's transport and the host: checks what comes in against the contract, calls, and turns what is thrown into a CallError. */
import { UserError, type Host } from '../core/host/api.ts';
import { parse } from '../core/host/definition.ts';
import { inspect } from '../core/host/files.ts';
import { calls, type CallError, type CallHandlers, type CallName, type EventName, type Events } from './ipc.ts';

/** What only the shell can do. */
export type ShellCalls = Pick<CallHandlers, 'chooseFile' | 'openConsole'>;

export function handlersOf(host: Host, shell: ShellCalls): CallHandlers {
  return {
    info: () => host.info(),
    list: () => host.list(),
    async create({ draft, start }) {
      const summary = await host.create(draft);
      if (start !== true) return summary;
      await host.start(summary.definition.id);
      return host.list().vms.find((vm) => vm.definition.id === summary.definition.id) ?? summary;
    },
    edit: ({ id, draft }) => host.edit(id, draft),
    delete: ({ id }) => host.delete(id),
    start: ({ id }) => host.start(id),
    pause: ({ id }) => host.pause(id),
    resume: ({ id }) => host.resume(id),
    reset: ({ id }) => host.reset(id),
    shutdown: ({ id }) => host.shutdown(id),
    forceOff: ({ id }) => host.forceOff(id),
    attachDisk: async ({ id, path, readonly }) => (await host.attachDisk(id, { path, readonly })) ?? null,
    detachDisk: ({ id, path }) => host.detachDisk(id, path),
    write: ({ id, port, data }) => host.write(id, port, data),
    scrollback: ({ id, port }) => host.scrollback(id, port),
    history: ({ id }) => host.history(id),
    execution: ({ id }) => host.execution(id) ?? null,
    log: ({ id }) => host.log(id),
    chooseFile: (args) => (args.path === undefined ? shell.chooseFile(args) : inspect(args.path, args.purpose)),
    lab: () => host.lab(),
    startLab: () => host.startLab(),
    stopLab: () => host.stopLab(),
    openConsole: (args) => shell.openConsole(args),
    getSettings: () => host.settings(),
    setSettings: (change) => host.changeSettings(change),
  };
}

/** Answers one call. `name` and `args` are as they came from outside. Throws a CallError (a plain object), nothing else. */
export async function dispatch(handlers: CallHandlers, name: unknown, args: unknown): Promise<unknown> {
  if (typeof name !== 'string' || !Object.hasOwn(calls, name)) {
    throw { message: 'There is no such call.' } satisfies CallError;
  }
  try {
    const checked = parse(calls[name as CallName].args, args ?? {});
    const handler = handlers[name as CallName] as (args: unknown) => unknown;
    return await handler(checked);
  } catch (error) {
    throw callError(error);
  }
}

export function callError(error: unknown): CallError {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof UserError) || error.field === undefined) return { message };
  // The form's fields are those of the draft.
  return { message, field: error.field.replace(/^draft\./, '') };
}

/** Sends every event of the host on. Returns what ends it. */
export function forwardEvents(host: Host, send: <K extends EventName>(event: K, payload: Events[K]) => void): () => void {
  const off = [
    host.on('change', (id, summary) => send('change', { id, summary })),
    host.on('console', (id, port, data, end) => send('console', { id, port, data, end })),
    host.on('load', (sample) => send('load', sample)),
    host.on('log', (id, line) => send('log', { id, line })),
    host.on('settings', (settings) => send('settings', settings)),
    host.on('lab', (state) => send('lab', state)),
  ];
  return () => {
    for (const stop of off) stop();
  };
}
