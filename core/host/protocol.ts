/** The messages between the host's main thread and a pCPU thread. */
import type { Stop } from '../scheduler/dispatcher.ts';
import type { FullSwitches } from '../vmm/full/switches.ts';
import type { ParaSwitches } from '../vmm/para/switches.ts';
import type { Disk, Engine, Source, Technique } from './api.ts';
import type { Outcome } from './executor.ts';

/** What a machine is built from: plain data. */
export interface MachineSpec {
  readonly source: Source;
  /** Bytes. */
  readonly memory: number;
  readonly vcpus: number;
  /** `MODEL[,+flag,-flag]`; absent: the default model. */
  readonly cpu?: string;
  /** Absent: the interpreter. */
  readonly engine?: Engine;
  /** Absent or `automatic`: the guest runs bare on the processor model. */
  readonly technique?: Technique | 'automatic';
  /** Of the technique `full`; absent: all on. */
  readonly full?: FullSwitches;
  /** Of the technique `para`; absent: all on. */
  readonly para?: ParaSwitches;
  readonly disks: readonly Disk[];
  readonly serials: number;
  /** isa-debug-exit and pc-testdev. */
  readonly testDevices?: boolean;
}

/** A number for each running VM, never used twice in a process. */
export type VmKey = number;

export interface WorkerData {
  readonly pcpu: number;
  readonly block: SharedArrayBuffer;
  /** Of the bell that wakes the compiler's thread; absent: pCPUs compile themselves. */
  readonly compiler?: SharedArrayBuffer;
  /** Of the bell that wakes the I/O thread; absent: there is none. */
  readonly io?: SharedArrayBuffer;
  /** The engine's modules, by file name. */
  readonly modules: Readonly<Record<string, WebAssembly.Module>>;
}

export type ToPcpu =
  /** Make the machine known here; with `boot`, load its system into memory first. */
  | {
      readonly type: 'open';
      readonly vm: VmKey;
      readonly spec: MachineSpec;
      readonly memory: WebAssembly.Memory;
      readonly block: SharedArrayBuffer;
      readonly boot: boolean;
      /** Wall time at the guest's time 0, in milliseconds since 1970. */
      readonly rtcStart: number;
    }
  | { readonly type: 'run'; readonly vm: VmKey; readonly vcpu: number; /** Milliseconds. */ readonly slice: number }
  | { readonly type: 'close'; readonly vm: VmKey };

/** Opcodes that were decoded and not implemented, on this thread so far. */
export type OpcodeCounts = Readonly<Record<string, number>>;

export type FromPcpu =
  | { readonly type: 'booted'; readonly vm: VmKey }
  /** The system could not be loaded. `mistake`: the user's, in one sentence; otherwise ours. */
  | { readonly type: 'failed'; readonly vm: VmKey; readonly message: string; readonly field?: string; readonly mistake: boolean }
  | { readonly type: 'stopped'; readonly vm: VmKey; readonly vcpu: number; readonly stop: Stop; readonly undefinedOpcodes: OpcodeCounts }
  | {
      readonly type: 'ended';
      readonly vm: VmKey;
      readonly vcpu: number;
      readonly outcome: Outcome;
      readonly undefinedOpcodes: OpcodeCounts;
    }
  /** A console's ring has output. */
  | { readonly type: 'output'; readonly vm: VmKey }
  | { readonly type: 'note'; readonly vm: VmKey; readonly text: string };
