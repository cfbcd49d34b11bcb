/** The VM library and its pCPUs: what the shells get. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { watch } from './activity.ts';
import { UserError, type Host, type HostEvents, type HostInfo, type Settings, type VmDefinition } from './api.ts';
import { engineModules, pcpuModule } from './assets.ts';
import { causeOf } from './cause.ts';
import { hardware, hostMemory, limits } from './capabilities.ts';
import { checkDraft } from './check.ts';
import { compilerModule } from './compiler.ts';
import { ioModule } from './io.ts';
import { monotonic } from './clock.ts';
import { listenForCommands } from './control.ts';
import { diskOf, draftOf, withDisk, withoutDisk } from './disks.ts';
import { parse } from './definition.ts';
import { Lab } from './lab/lab.ts';
import { Library, writeAtomically } from './library.ts';
import { makeMemory } from './machine.ts';
import { policyOf } from './policies.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { VERSION } from './version.ts';
import { Vm } from './vm.ts';

export interface HostOptions {
  readonly folder: string;
  /** Worker threads; default: as many as the host has CPUs. */
  readonly pcpus?: number;
  readonly policy?: string;
  /** For tests: another engine. */
  readonly pool?: Partial<Pick<PoolOptions, 'worker' | 'modules' | 'memory'>>;
  /** Do not take the folder for this process (tests). */
  readonly unlocked?: boolean;
}

const settingsSchema = v.object({
  language: v.fallback(v.picklist(['system', 'en', 'zh']), 'system'),
  theme: v.fallback(v.picklist(['system', 'light', 'dark']), 'system'),
});
const DEFAULTS: Settings = { language: 'system', theme: 'system' };

/** Opens the state folder and starts the pCPUs. Throws UserErrors. */
export async function createHost(options: HostOptions): Promise<Host> {
  const { folder } = options;
  const library = await Library.open(folder);
  const pcpus = options.pcpus ?? availableParallelism();
  const listeners = new Map<keyof HostEvents, Set<unknown>>();
  const emit = <K extends keyof HostEvents>(event: K, ...args: Parameters<HostEvents[K]>): void => {
    for (const listener of listeners.get(event) ?? []) (listener as (...args: Parameters<HostEvents[K]>) => void)(...args);
  };
  const pool = new Pool({
    pcpus,
    policy: policyOf(options.policy),
    worker: options.pool?.worker ?? pcpuModule(),
    modules: options.pool?.modules ?? (await engineModules()),
    memory: options.pool?.memory ?? makeMemory,
    compiler: options.pool?.worker ? undefined : compilerModule(),
    io: options.pool?.worker ? undefined : ioModule(),
    warn: (text) => process.stderr.write(`${text}\n`),
  });
  const lab = new Lab(pool, (state) => emit('lab', state));
  // Other systems are asked by programs that take a moment: nobody waits for that before the answer is wanted.
  const machine = hardware();
  const vms = new Map<string, Vm>();

  const admit = async (definition: VmDefinition): Promise<void> => {
    await checkDraft(draftOf(definition), limits(hostMemory().total));
    const { free } = hostMemory();
    if (definition.memory > free) {
      throw new UserError(`The host has ${free} MiB of memory free, and “${definition.name}” wants ${definition.memory} MiB.`, 'memory');
    }
  };
  const adopt = (definition: VmDefinition): Vm => {
    const vm = new Vm(definition, { pool, admit, emit });
    vms.set(definition.id, vm);
    return vm;
  };
  for (const definition of library.list()) adopt(definition);
  const find = (id: string): Vm => {
    const vm = vms.get(id);
    if (vm === undefined) throw new UserError(`There is no VM "${id}".`, 'id');
    return vm;
  };

  const settingsFile = path.join(folder, 'settings.json');
  let settings = DEFAULTS;
  try {
    settings = parse(settingsSchema, JSON.parse(await readFile(settingsFile, 'utf8')));
  } catch {
    // None yet, or damaged: the defaults.
  }

  const timer = setInterval(() => {
    const now = monotonic();
    for (const vm of vms.values()) {
      if (vm.run === undefined) continue;
      const sample = vm.sampler.sample(now, Date.now());
      if (sample !== undefined) emit('load', sample);
    }
  }, 1000);
  timer.unref();
  const unwatch = watch(function* () {
    for (const { run } of vms.values()) if (run !== undefined) yield run;
  });

  const host: Host = {
    async info(): Promise<HostInfo> {
      const { total, free } = hostMemory();
      return {
        ...(await machine),
        memory: total,
        memoryFree: free,
        limits: limits(total),
        version: VERSION,
        stateDir: folder,
        pcpus: pool.pcpus,
        policy: pool.policy,
      };
    },
    list: () => ({ vms: [...vms.values()].map((vm) => vm.summary), damaged: [...library.damaged] }),
    async create(draft) {
      const checked = await checkDraft(draft, limits(hostMemory().total));
      const vm = adopt(await library.add(checked));
      emit('change', vm.definition.id, vm.summary);
      return vm.summary;
    },
    async edit(id, draft) {
      const vm = find(id);
      const checked = await checkDraft(draft, limits(hostMemory().total));
      // A run keeps the definition that it began with: but for the name and the notes, a change counts from the next start.
      vm.definition = await library.replace(id, checked);
      emit('change', id, vm.summary);
      return vm.summary;
    },
    async delete(id) {
      const vm = find(id);
      if (vm.run !== undefined || vm.state === 'starting')
        throw new UserError(`“${vm.definition.name}” is running: switch it off before you delete it.`);
      await library.remove(id);
      vms.delete(id);
      emit('change', id, undefined);
    },
    start: async (id) => find(id).start(),
    pause: async (id) => find(id).pause(),
    resume: async (id) => find(id).resume(),
    reset: async (id) => find(id).reset(),
    shutdown: async (id) => find(id).shutdown(),
    forceOff: async (id) => find(id).forceOff(),
    async attachDisk(id, disk) {
      const vm = find(id);
      const draft = await checkDraft(withDisk(vm.definition, disk), limits(hostMemory().total));
      const name = vm.run && (await vm.plug(draft.disks.at(-1)!));
      vm.definition = await library.replace(id, draft);
      emit('change', id, vm.summary);
      return name;
    },
    async detachDisk(id, name) {
      const vm = find(id);
      const disk = vm.run ? diskOf(vm.definition, await vm.unplug(name)) : diskOf(vm.definition, name);
      if (disk === undefined) {
        // What a run has, a definition that was changed since need not have.
        if (vm.run) return;
        throw new UserError(`“${vm.definition.name}” has no disk ${name}.`, 'disk');
      }
      vm.definition = await library.replace(id, await checkDraft(withoutDisk(vm.definition, disk), limits(hostMemory().total)));
      emit('change', id, vm.summary);
    },
    write: (id, port, data) => find(id).write(port, data),
    scrollback(id, port) {
      const scrollback = find(id).scrollback(port);
      return { data: scrollback.bytes(), end: scrollback.end };
    },
    history: (id) => [...find(id).sampler.history],
    execution: (id) => find(id).execution(),
    log: (id) => [...find(id).log],
    settings: () => settings,
    async changeSettings(change) {
      const wanted = parse(settingsSchema, { ...settings, ...change });
      try {
        await writeAtomically(settingsFile, `${JSON.stringify(wanted, null, 2)}\n`);
      } catch (error) {
        throw new UserError(`${settingsFile} cannot be written: ${causeOf(error)}.`, 'state');
      }
      settings = wanted;
      emit('settings', settings);
      return settings;
    },
    lab: () => lab.state,
    startLab: () => lab.start(),
    stopLab: () => lab.stop(),
    on(event, listener) {
      let set = listeners.get(event);
      if (set === undefined) listeners.set(event, (set = new Set()));
      set.add(listener);
      return () => set.delete(listener);
    },
    async close() {
      clearInterval(timer);
      unwatch();
      await stopListening();
      await lab.stop();
      await Promise.all([...vms.values()].map((vm) => vm.off()));
      await pool.close();
    },
  };
  let stopListening = async (): Promise<void> => {};
  if (options.unlocked !== true) {
    try {
      stopListening = await listenForCommands(host, folder);
    } catch (error) {
      await host.close();
      throw error;
    }
  }
  return host;
}
