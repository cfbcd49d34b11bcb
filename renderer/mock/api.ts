/**
 * A core of pretence for `vite dev` without a shell and for unit tests: keeps VMs in memory, answers on their consoles and makes up
 * their load. `?demo` in the address begins with some VMs. It is not in the production bundle.
 */
import type {
  CallArgs,
  CallError,
  CallName,
  CallResult,
  EventName,
  Events,
  LoadSample,
  RingsideApi,
  Settings,
  VmDefinition,
  VmDraft,
  VmState,
  VmSummary,
} from '../../electron/ipc.ts';
import { execution } from './execution.ts';
import { MockGuest } from './guest.ts';
import { MockLab } from './lab.ts';
import { paraStatistics } from './para.ts';

interface MockVm {
  summary: VmSummary;
  guest: MockGuest;
  output: Uint8Array;
  end: number;
  log: string[];
  history: LoadSample[];
}

const mistake = (message: string, field?: string): CallError => ({ message, ...(field !== undefined && { field }) });

export interface MockOptions {
  readonly demo?: boolean;
  /** Milliseconds between load samples; 0: none (tests). */
  readonly sampling?: number;
}

export function mockApi(options: MockOptions = defaults()): RingsideApi {
  const vms = new Map<string, MockVm>();
  const listeners: { [K in EventName]?: Set<(payload: Events[K]) => void> } = {};
  let settings: Settings = { language: 'system', theme: 'system' };
  let serial = 0;

  function emit<K extends EventName>(event: K, payload: Events[K]): void {
    for (const listener of listeners[event] ?? []) listener(structuredClone(payload));
  }

  const lab = new MockLab((state) => emit('lab', state));

  function get(id: string): MockVm {
    const vm = vms.get(id);
    if (!vm) throw mistake(`There is no VM "${id}".`);
    return vm;
  }

  function enter(vm: MockVm, state: VmState, reason?: string): void {
    vm.summary = { definition: vm.summary.definition, state, since: new Date().toISOString(), ...(reason !== undefined && { reason }) };
    const line = `${vm.summary.since} ${state}${reason === undefined ? '' : `: ${reason}`}`;
    vm.log.push(line);
    emit('log', { id: vm.summary.definition.id, line });
    emit('change', { id: vm.summary.definition.id, summary: vm.summary });
  }

  function print(vm: MockVm, text: string): void {
    const data = new TextEncoder().encode(text);
    const output = new Uint8Array(vm.output.length + data.length);
    output.set(vm.output);
    output.set(data, vm.output.length);
    vm.output = output;
    vm.end += data.length;
    emit('console', { id: vm.summary.definition.id, port: 0, data, end: vm.end });
  }

  function check(draft: VmDraft): void {
    if (draft.name.trim() === '') throw mistake('Give the VM a name.', 'name');
    if (draft.memory < 1) throw mistake('A VM needs at least 1 MiB of memory.', 'memory');
    if (draft.memory > 3584) throw mistake('A VM can have at most 3584 MiB of memory.', 'memory');
    if (draft.vcpus < 1) throw mistake('A VM needs at least one vCPU.', 'vcpus');
    if (draft.source.kind === 'kernel' && !draft.source.kernel.startsWith('/'))
      throw mistake('Give the path of a kernel.', 'source.kernel');
    if (draft.source.kind === 'disk' && draft.disks.length === 0) throw mistake('A VM that starts from a disk needs a disk.', 'disks');
  }

  function add(draft: VmDraft, state: VmState = 'off', reason?: string): MockVm {
    const id = `vm-${++serial}`;
    const summary: VmSummary = {
      definition: { ...draft, id, created: new Date(Date.now() + serial).toISOString() },
      state,
      since: new Date().toISOString(),
      ...(reason !== undefined && { reason }),
    };
    const vm: MockVm = { summary, guest: new MockGuest((text) => print(vm, text)), output: new Uint8Array(), end: 0, log: [], history: [] };
    vms.set(id, vm);
    emit('change', { id, summary });
    return vm;
  }

  function start(vm: MockVm): void {
    if (vm.summary.state === 'running' || vm.summary.state === 'starting')
      throw mistake(`"${vm.summary.definition.name}" is already running.`);
    enter(vm, 'starting');
    setTimeout(() => {
      enter(vm, 'running');
      vm.guest.boot();
    }, 120);
  }

  function sample(vm: MockVm, time: number, busy: number): LoadSample {
    const jitter = (n: number) => Math.max(0, n + (Math.random() - 0.5) * 0.06);
    const para = vm.summary.definition.technique === 'para' ? paraStatistics(busy) : undefined;
    return {
      id: vm.summary.definition.id,
      time,
      interval: 1,
      technique: vm.summary.definition.technique ?? 'automatic',
      vcpus: Array.from({ length: vm.summary.definition.vcpus }, (_, vcpu) => {
        const share = vcpu === 0 ? busy : busy * 0.6;
        const guestUser = jitter(share * 0.62);
        const guestKernel = jitter(share * 0.2);
        const vmm = jitter(0.02 + share * 0.06);
        const ready = share > 0.5 ? jitter(0.06) : 0;
        const halted = Math.max(0, 1 - guestUser - guestKernel - vmm - ready);
        const guest = guestUser + guestKernel;
        const instructions = Math.round(guest * 182e6);
        return {
          vcpu,
          guestUser,
          guestKernel,
          vmm,
          ready,
          blocked: 0,
          halted,
          instructions,
          privileged: Math.round(instructions / 900),
          sensitive: Math.round(instructions / 1400),
          activities: {
            interpreted: guest * 0.07,
            translated: guest * 0.82,
            mmu: guest * 0.05,
            decoding: guest * 0.02,
            compiling: guest * 0.04,
            devices: vmm,
          },
        };
      }),
      ...(para && { para: para.statistics }),
      exits: para?.exits ?? {
        hlt: 100 * (1 - busy),
        'port in': 12 + busy * 800,
        'port out': 30,
        interrupt: 100 + busy * 250,
        'mmio write': 4,
      },
      exitSeconds: { 'port in': (12 + busy * 800) * 2.1e-6, 'port out': 30 * 1.4e-6, interrupt: (100 + busy * 250) * 0.6e-6 },
    };
  }

  if (options.sampling) {
    setInterval(() => {
      for (const vm of vms.values()) {
        if (vm.summary.state !== 'running') continue;
        const now = sample(vm, Date.now(), Date.now() < vm.guest.busyUntil ? 1 : 0.04);
        vm.history.push(now);
        emit('load', now);
      }
    }, options.sampling);
  }

  if (options.demo) {
    const linux: VmDraft = {
      name: 'Debian netboot',
      source: {
        kind: 'kernel',
        kernel: '/srv/images/debian/vmlinuz',
        initrd: '/srv/images/debian/initrd.gz',
        append: 'console=ttyS0 priority=low',
      },
      memory: 512,
      vcpus: 2,
      disks: [{ path: '/srv/images/debian/disk.raw' }],
      serials: 2,
    };
    const para: VmDraft = { ...linux, name: 'Paravirtualized', technique: 'para', para: { batching: true, asynchrony: false }, vcpus: 1 };
    for (const draft of [linux, para]) {
      const running = add(draft, 'running');
      running.guest.boot();
      for (let back = 900; back > 0; back--) {
        const wave = Math.max(0, Math.sin(back / 40)) * 0.8 + 0.05;
        running.history.push(sample(running, Date.now() - back * 1000, wave));
      }
    }
    add(
      {
        ...linux,
        name: 'memtest86+',
        source: { kind: 'kernel', kernel: '/srv/images/memtest86+x64.bin' },
        disks: [],
        vcpus: 1,
        serials: 1,
      },
      'crashed',
      'vCPU 0 triple-faulted at 0xffffffff81000110.',
    );
    add({ ...linux, name: 'Built-in guest', source: { kind: 'builtin' }, memory: 64, disks: [], vcpus: 1, serials: 1 }, 'paused');
    add({ ...linux, name: 'Test of a long name that will not fit in the list', source: { kind: 'disk' }, vcpus: 1, serials: 1 });
  }

  const redefine = (vm: MockVm, change: Partial<VmDefinition>): void => {
    vm.summary = { ...vm.summary, definition: { ...vm.summary.definition, ...change } };
    emit('change', { id: vm.summary.definition.id, summary: vm.summary });
  };

  const handlers: { readonly [K in CallName]: (args: CallArgs<K>) => CallResult<K> } = {
    info: () => ({
      os: 'Linux 6.12',
      arch: 'x64',
      cpu: 'Example CPU @ 2.80GHz',
      vendor: 'GenuineIntel',
      sockets: 1,
      cores: 4,
      threads: 8,
      numaNodes: 1,
      memory: 16_000,
      memoryFree: 9_200,
      virtualization: 'vt-x',
      disabledByFirmware: false,
      nested: false,
      kvm: 'no-permission',
      evidence: [
        { source: '/proc/cpuinfo', finding: 'flag vmx; no flag hypervisor' },
        { source: '/dev/kvm', finding: 'cannot be opened (EACCES)' },
      ],
      advice: [
        { code: 'own', text: 'Ringside’s own processor runs every system here.' },
        { code: 'permission', text: 'This user may not open /dev/kvm.' },
      ],
      limits: { memoryMax: 3584, vcpusMax: 8 },
      version: '0.1.0',
      stateDir: '/home/user/.local/state/ringside',
      pcpus: 2,
      policy: 'round-robin',
    }),
    list: () => ({
      vms: [...vms.values()].map((vm) => vm.summary),
      damaged: options.demo
        ? [{ file: '/home/user/.local/state/ringside/vms/old.json', reason: 'The file is not JSON: it ends in the middle.' }]
        : [],
    }),
    create: ({ draft, start: now }) => {
      check(draft);
      const vm = add(draft);
      if (now) start(vm);
      return vm.summary;
    },
    edit: ({ id, draft }) => {
      check(draft);
      const vm = get(id);
      redefine(vm, { ...draft, id, created: vm.summary.definition.created });
      return vm.summary;
    },
    delete: ({ id }) => {
      get(id);
      vms.delete(id);
      emit('change', { id });
    },
    start: ({ id }) => start(get(id)),
    pause: ({ id }) => enter(get(id), 'paused'),
    resume: ({ id }) => enter(get(id), 'running'),
    reset: ({ id }) => {
      enter(get(id), 'running');
      get(id).guest.boot();
    },
    shutdown: ({ id }) => {
      enter(get(id), 'stopping');
      setTimeout(() => enter(get(id), 'off'), 800);
    },
    forceOff: ({ id }) => enter(get(id), 'off'),
    attachDisk: ({ id, path, readonly }) => {
      const vm = get(id);
      const { disks } = vm.summary.definition;
      redefine(vm, { disks: [...disks, { path, readonly }] });
      return vm.summary.state === 'running' ? `xvd${String.fromCharCode(97 + disks.length)}` : null;
    },
    detachDisk: ({ id, path }) => {
      const vm = get(id);
      redefine(vm, { disks: vm.summary.definition.disks.filter((disk) => disk.path !== path) });
    },
    write: ({ id, data }) => get(id).guest.type(new TextDecoder().decode(data)),
    scrollback: ({ id, port }) => (port === 0 ? { data: get(id).output, end: get(id).end } : { data: new Uint8Array(), end: 0 }),
    history: ({ id }) => get(id).history,
    execution: ({ id }) => (get(id).history.length > 0 ? execution(get(id).history) : null),
    log: ({ id }) => get(id).log,
    chooseFile: ({ path }) => {
      if (path === undefined) throw mistake('A browser cannot show a file dialog: type the path.');
      if (!path.startsWith('/')) throw mistake(`"${path}" is not an absolute path.`);
      return { path, size: 12_345_678, kind: path.includes('initrd') ? 'gzip' : 'linux' };
    },
    openConsole: () => 'renderer',
    lab: () => lab.state,
    startLab: () => lab.start(),
    stopLab: () => lab.stop(),
    getSettings: () => settings,
    setSettings: (part) => {
      settings = { ...settings, ...part } as Settings;
      emit('settings', settings);
      return settings;
    },
  };

  return {
    shell: 'browser',
    // Asynchronous and by copy, as both shells are.
    async call(name, ...args) {
      await Promise.resolve();
      const handler = handlers[name] as (args: unknown) => CallResult<typeof name>;
      return structuredClone(handler(structuredClone(args[0] ?? {})));
    },
    on(event, listener) {
      const set = ((listeners[event] as Set<typeof listener> | undefined) ??= new Set()) as Set<typeof listener>;
      (listeners as Record<string, unknown>)[event] = set;
      set.add(listener);
      return () => set.delete(listener);
    },
  };
}

function defaults(): MockOptions {
  return { demo: new URLSearchParams(globalThis.location?.search).has('demo'), sampling: 1000 };
}
