/**
 * The one contract between the user interface and the core. Electron's preload and main, the headless server and its browser client, the
 * renderer's types and its mock all derive from the two tables here. The renderer imports types only, from this file only.
 */
import * as v from 'valibot';
import type { DamagedDefinition, Execution, HostInfo, LoadSample, Settings, VmSummary } from '../core/host/api.ts';
import { draftSchema } from '../core/host/definition.ts';
import type { FileInfo } from '../core/host/files.ts';
import type { LabState } from '../core/host/lab/table.ts';

export type {
  Activities,
  Advice,
  CallCount,
  DamagedDefinition,
  Disk,
  Engine,
  Execution,
  FullSwitches,
  HostInfo,
  LoadSample,
  ParaStatistics,
  ParaSwitches,
  Settings,
  Sizes,
  Source,
  Technique,
  VcpuLoad,
  VmDefinition,
  VmDraft,
  VmState,
  VmSummary,
} from '../core/host/api.ts';

export type { Benchmark, ColumnName, Cost, Entry as LabEntry, Failure, LabState, LabTable, Row } from '../core/host/lab/table.ts';

/** A file that the user chose or typed. */
export type ChosenFile = FileInfo;

/** Where a console is shown: Electron opened a window; a browser must open its tab itself (it goes to `#/console/ID/PORT`). */
export type ConsolePlace = 'window' | 'renderer';

interface Call<S extends v.GenericSchema, R> {
  readonly args: S;
  /** Exists for the type only. */
  readonly result?: R;
}

/** A call's arguments (one object) and the type of what it resolves to. */
function call<R>() {
  return <S extends v.GenericSchema>(args: S): Call<S, R> => ({ args });
}

const none = v.strictObject({});
const id = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/));
const vm = v.strictObject({ id });
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3));
const serial = v.strictObject({ id, port });
const diskPath = v.pipe(v.string(), v.nonEmpty(), v.maxLength(4096));
const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= 1 << 20);

const settingsSchema = v.strictObject({
  language: v.picklist(['system', 'en', 'zh']),
  theme: v.picklist(['system', 'light', 'dark']),
});

export const calls = {
  info: call<HostInfo>()(none),
  list: call<{ vms: VmSummary[]; damaged: DamagedDefinition[] }>()(none),
  /** `start: true` also starts it. */
  create: call<VmSummary>()(v.strictObject({ draft: draftSchema, start: v.optional(v.boolean()) })),
  edit: call<VmSummary>()(v.strictObject({ id, draft: draftSchema })),
  delete: call<void>()(vm),
  start: call<void>()(vm),
  pause: call<void>()(vm),
  resume: call<void>()(vm),
  reset: call<void>()(vm),
  /** Presses the ACPI power button. */
  shutdown: call<void>()(vm),
  forceOff: call<void>()(vm),
  /** Gives a VM a disk; while it runs (technique "para"), resolves to the disk's name in the guest, else to null. */
  attachDisk: call<string | null>()(v.strictObject({ id, path: diskPath, readonly: v.optional(v.boolean()) })),
  /** Takes a disk away, by its path or its name in the guest ("xvdb"); while the VM runs, resolves when the guest has let go of it. */
  detachDisk: call<void>()(v.strictObject({ id, path: diskPath })),
  /** Input of a serial port. */
  write: call<void>()(v.strictObject({ id, port, data: bytes })),
  /** The last 256 KiB of a port's output. Ask for it after `on('console')`, so that nothing is lost; `end` tells where the stream stood. */
  scrollback: call<{ data: Uint8Array; end: number }>()(serial),
  /** Load samples of the last hour. */
  history: call<LoadSample[]>()(vm),
  /** What the engine has done since the VM was started, or in its last run; null: not started yet. */
  execution: call<Execution | null>()(vm),
  log: call<string[]>()(vm),
  /**
   * With `path`: checks that file. Without: shows the system's dialog (Electron), null if the user cancelled; a browser has none, and
   * says so in the error.
   */
  chooseFile: call<ChosenFile | null>()(
    v.strictObject({
      purpose: v.picklist(['kernel', 'initrd', 'module', 'disk']),
      path: v.optional(v.pipe(v.string(), v.maxLength(4096))),
    }),
  ),
  openConsole: call<ConsolePlace>()(serial),
  /** The technique lab: how far it is, and what it has measured. */
  lab: call<LabState>()(none),
  /** Begins anew; an error if it is running. What comes of it is told by `on('lab')`. */
  startLab: call<void>()(none),
  stopLab: call<void>()(none),
  getSettings: call<Settings>()(none),
  setSettings: call<Settings>()(v.partial(settingsSchema)),
} as const;

/** Events and their payloads. */
export interface Events {
  /** A VM appeared, changed state or definition, or was removed (no `summary`). */
  change: { readonly id: string; readonly summary?: VmSummary };
  /** Serial output as it came. `end`: bytes this port has put out in all, `data` included: compare with `scrollback`'s. */
  console: { readonly id: string; readonly port: number; readonly data: Uint8Array; readonly end: number };
  /** Once a second for each VM that is not off. */
  load: LoadSample;
  log: { readonly id: string; readonly line: string };
  settings: Settings;
  lab: LabState;
  /** A browser's connection to the headless server was lost or came back (then ask for everything anew); never in Electron. */
  connection: { readonly connected: boolean };
}

export type CallName = keyof typeof calls;
export type EventName = keyof Events;
export type CallArgs<K extends CallName> = v.InferInput<(typeof calls)[K]['args']>;
export type CallResult<K extends CallName> = (typeof calls)[K] extends Call<v.GenericSchema, infer R> ? R : never;

/** How every rejected call looks. `field`: the form's field, as a path ("source.kernel", "disks.0.path"). */
export interface CallError {
  readonly message: string;
  readonly field?: string;
}

/** `window.ringside`. Rejections are `CallError` objects (plain, not `Error`: that is what crosses Electron's bridge whole). */
export interface RingsideApi {
  readonly shell: 'electron' | 'browser';
  call<K extends CallName>(
    name: K,
    ...args: Record<string, never> extends CallArgs<K> ? [args?: CallArgs<K>] : [args: CallArgs<K>]
  ): Promise<CallResult<K>>;
  /** Returns what takes the listener away again. */
  on<K extends EventName>(event: K, listener: (payload: Events[K]) => void): () => void;
}

declare global {
  interface Window {
    readonly ringside: RingsideApi;
  }
}

/** What a shell implements: each call with checked arguments. A mock is a partial of this. */
export type CallHandlers = {
  readonly [K in CallName]: (args: v.InferOutput<(typeof calls)[K]['args']>) => CallResult<K> | Promise<CallResult<K>>;
};
