/** What the shells (CLI, Electron main, headless) see of the core: plain data in, plain data out. `electron/ipc.ts` re-exports these types. */

import type { FullSwitches } from '../vmm/full/switches.ts';
import type { ParaStatistics } from '../vmm/para/statistics.ts';
import type { ParaSwitches } from '../vmm/para/switches.ts';
import type { TranslationStatistics } from '../translator/index.ts';
import type { LabState } from './lab/table.ts';

import type { Advice } from './advice.ts';

export type { TranslationStatistics } from '../translator/index.ts';
export type { FullSwitches } from '../vmm/full/switches.ts';
export type { CallCount, ParaStatistics, Sizes } from '../vmm/para/statistics.ts';
export type { ParaSwitches } from '../vmm/para/switches.ts';
export type { Advice } from './advice.ts';

export type Technique = 'full' | 'para' | 'hardware';
export type Engine = 'interpreter' | 'translator' | 'kvm';

/** Where a VM's system comes from. Paths are absolute. */
export type Source =
  | { readonly kind: 'builtin'; readonly append?: string }
  | {
      readonly kind: 'kernel';
      readonly kernel: string;
      readonly initrd?: string;
      readonly append?: string;
      readonly modules?: readonly string[];
    }
  | { readonly kind: 'disk' };

export interface Disk {
  readonly path: string;
  readonly readonly?: boolean;
}

/** A VM as the user defined it; one JSON file each in the state folder, written atomically. Unknown keys survive a rewrite. */
export interface VmDefinition {
  readonly id: string;
  readonly name: string;
  readonly source: Source;
  /** MiB. */
  readonly memory: number;
  readonly vcpus: number;
  /** `MODEL[,+flag,-flag]`; absent: the default model. */
  readonly cpu?: string;
  readonly technique?: Technique | 'automatic';
  /** Of the technique `full`; absent: all on. */
  readonly full?: FullSwitches;
  /** Of the technique `para`; absent: all on. */
  readonly para?: ParaSwitches;
  readonly engine?: Engine;
  readonly disks: readonly Disk[];
  /** Number of serial ports, 1 to 4: a console window each. */
  readonly serials: number;
  readonly notes?: string;
  /** ISO 8601. */
  readonly created: string;
}

export type VmState = 'off' | 'starting' | 'running' | 'paused' | 'saved' | 'stopping' | 'crashed';

export interface VmSummary {
  readonly definition: VmDefinition;
  readonly state: VmState;
  /** Why it crashed or could not start: one sentence. */
  readonly reason?: string;
  /** ISO 8601: when the state was entered. */
  readonly since: string;
}

/** A definition file that could not be read: it is listed, never overwritten. */
export interface DamagedDefinition {
  readonly file: string;
  readonly reason: string;
}

/** One vCPU over one sampling interval: seconds in each state, by time stamps. The sum is the interval. */
export interface VcpuLoad {
  readonly vcpu: number;
  readonly guestUser: number;
  readonly guestKernel: number;
  readonly vmm: number;
  /** Wanted to run, had no pCPU. */
  readonly ready: number;
  /** Waiting for the host (disk), or paused. */
  readonly blocked: number;
  /** HLT: idle. */
  readonly halted: number;
  readonly instructions: number;
  /** Of those, by class; what remains is innocuous. */
  readonly privileged: number;
  readonly sensitive: number;
  readonly activities: Activities;
}

/**
 * What was done in a vCPU's guest and VMM time, in seconds. Devices are the VMM's part, by time stamps; the guest's part is shared out by
 * samples (docs/statistics.md), and guest time of which there is no sample is nowhere.
 */
export interface Activities {
  readonly interpreted: number;
  readonly translated: number;
  /** Page walks, with the delivery of page faults. */
  readonly mmu: number;
  readonly decoding: number;
  /** Finding, building and taking over translations, as far as it holds the vCPU up. */
  readonly compiling: number;
  readonly devices: number;
}

/** What the engine of a VM has done since the VM was started. */
export interface Execution {
  readonly engine: Engine;
  /** Instructions by class. */
  readonly classes: { readonly innocuous: number; readonly sensitive: number; readonly privileged: number };
  /** Which part of the instructions was interpreted, which translated: 0 to 1, by samples; absent without one. */
  readonly shares?: { readonly interpreted: number; readonly translated: number };
  readonly activities: Activities;
  readonly translation: TranslationStatistics;
  /** Of the technique `para`. */
  readonly para?: ParaStatistics;
}

export interface LoadSample {
  readonly id: string;
  /** Milliseconds since the epoch, at the end of the interval. */
  readonly time: number;
  /** Seconds. */
  readonly interval: number;
  /** Of this run: a definition may have been changed since. */
  readonly technique: Technique | 'automatic';
  readonly vcpus: readonly VcpuLoad[];
  /** Exits by reason in the interval. */
  readonly exits: Readonly<Record<string, number>>;
  /** Seconds that the VMM took for them; a reason that is not timed is absent. */
  readonly exitSeconds: Readonly<Record<string, number>>;
  /** Of the technique `para`: in the interval. */
  readonly para?: ParaStatistics;
}

/** A place that was looked at, and what was found there, in its own words. */
export interface Evidence {
  readonly source: string;
  readonly finding: string;
}

export interface HostInfo {
  readonly os: string;
  readonly arch: string;
  readonly cpu: string;
  readonly vendor: string;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly numaNodes: number;
  /** MiB. */
  readonly memory: number;
  readonly memoryFree: number;
  readonly virtualization: 'vt-x' | 'amd-v' | 'none' | 'unknown';
  /** Off in the BIOS as far as can be told. */
  readonly disabledByFirmware: boolean | 'unknown';
  /** The host is itself a virtual machine. */
  readonly nested: boolean;
  readonly kvm: 'usable' | 'no-permission' | 'absent' | 'unsupported-os';
  /** How virtualization, BIOS and nesting were told. */
  readonly evidence: readonly Evidence[];
  /** What follows for the user: plain sentences. */
  readonly advice: readonly { readonly code: Advice; readonly text: string }[];
  readonly limits: { readonly memoryMax: number; readonly vcpusMax: number };
  readonly version: string;
  readonly stateDir: string;
  readonly pcpus: number;
  readonly policy: string;
}

/** A mistake of the user or of the host, in one sentence (what, where, why). `field`: the form's field it belongs to, if any. */
export class UserError extends Error {
  readonly field: string | undefined;
  constructor(message: string, field?: string) {
    super(message);
    this.field = field;
  }
}

/** What a new or changed definition is made from; checked as a whole, and the first mistake is thrown as a UserError. */
export type VmDraft = Omit<VmDefinition, 'id' | 'created'>;

export interface HostEvents {
  /** A VM appeared, changed state or definition, or was removed (`summary` absent). */
  change: (id: string, summary: VmSummary | undefined) => void;
  /** Serial output, as it came. `end`: bytes that the port has put out in all, `data` included. */
  console: (id: string, port: number, data: Uint8Array, end: number) => void;
  /** Once a second for each VM that is not off. */
  load: (sample: LoadSample) => void;
  log: (id: string, line: string) => void;
  settings: (settings: Settings) => void;
  lab: (state: LabState) => void;
}

/** The app's own settings, kept in the state folder. */
export interface Settings {
  readonly language: 'system' | 'en' | 'zh';
  readonly theme: 'system' | 'light' | 'dark';
}

/** The VM library and its pCPUs: one object per process. */
export interface Host {
  info(): Promise<HostInfo>;
  list(): { vms: VmSummary[]; damaged: DamagedDefinition[] };
  create(draft: VmDraft): Promise<VmSummary>;
  edit(id: string, draft: VmDraft): Promise<VmSummary>;
  delete(id: string): Promise<void>;
  start(id: string): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  reset(id: string): Promise<void>;
  /** Presses the ACPI power button. */
  shutdown(id: string): Promise<void>;
  forceOff(id: string): Promise<void>;
  /**
   * Gives a VM a disk, for good: also while it runs, if its technique is "para"; then resolves to the disk's name in the guest.
   */
  attachDisk(id: string, disk: Disk): Promise<string | undefined>;
  /** Takes a disk away, by its path or its name in the guest ("xvdb"). While the VM runs: resolves when the guest has let go of it. */
  detachDisk(id: string, disk: string): Promise<void>;
  write(id: string, port: number, data: Uint8Array): void;
  /** The last 256 KiB of a port's output, also after the VM went off; `end` as in the `console` event. */
  scrollback(id: string, port: number): { data: Uint8Array; end: number };
  /** Samples kept: the last hour. */
  history(id: string): LoadSample[];
  /** Of a run that has ended: as it was then. Undefined: not started yet. */
  execution(id: string): Execution | undefined;
  log(id: string): string[];
  settings(): Settings;
  changeSettings(change: Partial<Settings>): Promise<Settings>;
  /** The technique lab: how far it is, and what it has measured. */
  lab(): LabState;
  startLab(): void;
  /** Resolves when nothing of it runs any more. */
  stopLab(): Promise<void>;
  on<K extends keyof HostEvents>(event: K, listener: HostEvents[K]): () => void;
  close(): Promise<void>;
}
