/** What a VM form holds while it is being filled in: everything that was typed stays, also what the present choice does not use. */
import type { Engine, FullSwitches, HostInfo, ParaSwitches, Source, Technique, VmDraft } from '../../electron/ipc.ts';

export interface DraftForm {
  name: string;
  kind: Source['kind'];
  kernel: string;
  initrd: string;
  append: string;
  /** The built-in guest's own command line: it is another than a kernel's. */
  builtinAppend: string;
  modules: string[];
  /** MiB. Undefined: the field was emptied. */
  memory: number | undefined;
  vcpus: number | undefined;
  cpu: string;
  technique: Technique | 'automatic';
  /** Of the technique `full`; undefined: as they are by default. */
  full: FullSwitches | undefined;
  /** Of the technique `para`, likewise. */
  para: ParaSwitches | undefined;
  engine: Engine | undefined;
  disks: { path: string; readonly: boolean }[];
  serials: number | undefined;
  notes: string;
}

/** Switches by technique, as the core has them where nothing is said. */
export const SWITCHES = {
  full: { translateSensitive: true, adaptive: true } satisfies FullSwitches,
  para: { batching: true, asynchrony: true } satisfies ParaSwitches,
} as const;
export type Switched = keyof typeof SWITCHES;
/** A switch of any of them. */
export type Switch = keyof FullSwitches | keyof ParaSwitches;

/** The switches that a definition turns off, of the technique that it has. */
export function switchedOff({ technique, full, para }: Pick<VmDraft, 'technique' | 'full' | 'para'>): string[] {
  const chosen = technique === 'full' ? full : technique === 'para' ? para : undefined;
  return Object.entries(chosen ?? {}).flatMap(([name, on]) => (on === false ? [name] : []));
}

/** The argument that shows Linux on its console: a PC's serial port, or the console of a paravirtualized guest. */
export const consoleArgument = (technique: Technique | 'automatic'): string => (technique === 'para' ? 'console=hvc0' : 'console=ttyS0');

/** MiB. The built-in guest needs little; a Linux kernel with an initial RAM disk wants more. */
export const DEFAULT_MEMORY: Record<Source['kind'], number> = { builtin: 64, kernel: 512, disk: 512 };

export function emptyForm(name: string): DraftForm {
  return {
    name,
    kind: 'builtin',
    kernel: '',
    initrd: '',
    append: consoleArgument('automatic'),
    builtinAppend: '',
    modules: [],
    memory: DEFAULT_MEMORY.builtin,
    vcpus: 1,
    cpu: '',
    technique: 'automatic',
    full: undefined,
    para: undefined,
    engine: undefined,
    disks: [],
    serials: 1,
    notes: '',
  };
}

export function fromDraft(draft: VmDraft): DraftForm {
  const kernel = draft.source.kind === 'kernel' ? draft.source : undefined;
  return {
    name: draft.name,
    kind: draft.source.kind,
    kernel: kernel?.kernel ?? '',
    initrd: kernel?.initrd ?? '',
    append: kernel?.append ?? '',
    builtinAppend: draft.source.kind === 'builtin' ? (draft.source.append ?? '') : '',
    modules: [...(kernel?.modules ?? [])],
    memory: draft.memory,
    vcpus: draft.vcpus,
    cpu: draft.cpu ?? '',
    technique: draft.technique ?? 'automatic',
    full: draft.full,
    para: draft.para,
    engine: draft.engine,
    disks: draft.disks.map((disk) => ({ path: disk.path, readonly: disk.readonly ?? false })),
    serials: draft.serials,
    notes: draft.notes ?? '',
  };
}

/** What the core is given. Emptied numbers go as 0: the core says what is wrong with that, at the field. */
export function toVmDraft(form: DraftForm): VmDraft {
  const optional = (key: string, value: string) => (value.trim() === '' ? {} : { [key]: value.trim() });
  let source: Source;
  switch (form.kind) {
    case 'builtin':
      source = { kind: 'builtin', ...optional('append', form.builtinAppend) };
      break;
    case 'kernel': {
      const modules = form.modules.map((path) => path.trim()).filter((path) => path !== '');
      source = {
        kind: 'kernel',
        kernel: form.kernel.trim(),
        ...optional('initrd', form.initrd),
        ...optional('append', form.append),
        ...(modules.length > 0 && { modules }),
      };
      break;
    }
    case 'disk':
      source = { kind: 'disk' };
  }
  return {
    name: form.name,
    source,
    memory: form.memory ?? 0,
    vcpus: form.vcpus ?? 0,
    ...optional('cpu', form.cpu),
    ...(form.technique !== 'automatic' && { technique: form.technique }),
    ...(form.technique === 'full' && form.full !== undefined && { full: form.full }),
    ...(form.technique === 'para' && form.para !== undefined && { para: form.para }),
    ...(form.engine !== undefined && { engine: form.engine }),
    disks: form.disks.map((disk) => ({ path: disk.path.trim(), ...(disk.readonly && { readonly: true }) })),
    serials: form.serials ?? 0,
    ...optional('notes', form.notes),
  };
}

/** Another source brings its own default of memory, unless the user has chosen one. */
export function chooseKind(form: DraftForm, kind: Source['kind']): void {
  if (form.memory === DEFAULT_MEMORY[form.kind]) form.memory = DEFAULT_MEMORY[kind];
  form.kind = kind;
}

/** Another technique may have another console: the command line goes with it, unless the user has written one. */
export function chooseTechnique(form: DraftForm, technique: DraftForm['technique']): void {
  if (form.append === consoleArgument(form.technique)) form.append = consoleArgument(technique);
  form.technique = technique;
}

/** The command line shows Linux on a serial port, and a paravirtualized guest has none. */
export const missesConsole = (form: DraftForm): boolean =>
  form.technique === 'para' && form.kind === 'kernel' && /\bconsole=ttyS/.test(form.append) && !/\bconsole=hvc/.test(form.append);

export const STEPS = ['source', 'compute', 'disks', 'summary'] as const;
export type Step = (typeof STEPS)[number];

/** The step on which a field of the core's errors is shown. A mistake of no field is shown at the end, where it arose. */
export function stepOf(field: string | undefined): Step {
  const top = field?.split('.')[0];
  switch (top) {
    case 'source':
      return 'source';
    case 'memory':
    case 'vcpus':
    case 'cpu':
    case 'technique':
    case 'full':
    case 'para':
    case 'engine':
    case 'serials':
      return 'compute';
    case 'disks':
      return 'disks';
    default:
      return 'summary';
  }
}

/** A mistake at `disks.0.path` belongs to that field; one at `disks` to the list as a whole. */
export function isAt(field: string | undefined, path: string): boolean {
  return field === path;
}

export type Zone = 'comfortable' | 'tight' | 'over';

/** MiB. Tight: less than an eighth of the computer's memory would be left of what is free. */
export function memoryZone(memory: number, host: Pick<HostInfo, 'memory' | 'memoryFree'>): Zone {
  if (memory > host.memory) return 'over';
  return memory > host.memoryFree - host.memory / 8 ? 'tight' : 'comfortable';
}

/** Where the zones of a slider begin, as fractions of its length. */
export function memoryZones(host: Pick<HostInfo, 'memory' | 'memoryFree'>, max: number): { tight: number; over: number } {
  const at = (mib: number) => Math.min(1, Math.max(0, mib / max));
  return { tight: at(host.memoryFree - host.memory / 8), over: at(host.memory) };
}

/** The parts of a draft that differ, as top-level names of its fields. */
export function changedFields(before: VmDraft, after: VmDraft): Set<keyof VmDraft> {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof VmDraft>;
  return new Set([...keys].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key])));
}

/** What a running VM takes up at once; all else counts from its next start. */
export const APPLIES_NOW: ReadonlySet<keyof VmDraft> = new Set(['name', 'notes']);

/** "Linux", "Linux 2", ...: the first that no VM has. */
export function freeName(base: string, taken: readonly string[]): string {
  const names = new Set(taken);
  if (!names.has(base)) return base;
  for (let n = 2; ; n++) if (!names.has(`${base} ${n}`)) return `${base} ${n}`;
}
