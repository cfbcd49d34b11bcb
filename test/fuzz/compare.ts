/** What two machines must have in common whenever they have executed the same number of instructions. */
import { Cpu, CPUS, EVENT_TRAP, fieldAt } from '../../core/state/index.ts';
import type { FuzzMachine } from './machine.ts';
import { USED } from './places.ts';

/**
 * Fields of the vCPU's state that are an engine's own: where it is between blocks, flags in their lazy form, what slow paths leave behind,
 * and counters that are read together with the budget.
 */
const OWN = new Set([
  'flagResult', 'flagAux', 'flagA', 'flagB', 'flagC', 'jumps', 'jumpStamp', 'jumpGeneration', 'ripBase', 'chain', 'current', 'budget', 'event', 'interruptShadow', 'faultVector', 'faultError', 'faultHasError',
  'bounce', 'bounceAddress', 'bouncePhysical', 'bounceSize', 'bounceKind', 'walkPhysical', 'walkFlags', 'instructions',
  'budgetMark', 'shadowBudget', 'activity', 'endedInterpreted', 'endedTranslated',
  'exitReason', 'exitBegan', 'exits', 'exitsTimed', 'exitsTime', 'emulated',
]); // prettier-ignore

/** Byte ranges of what is left. */
const SHARED = ((): [number, number][] => {
  const keys = Object.keys(Cpu.fields) as (keyof typeof Cpu.fields)[];
  const out: [number, number][] = [];
  keys.forEach((key, i) => {
    if (OWN.has(key)) return;
    const begin = Cpu.offsets[key];
    const end = i + 1 < keys.length ? Cpu.offsets[keys[i + 1]!] : Cpu.size;
    const last = out[out.length - 1];
    if (last && last[1] === begin) last[1] = end;
    else out.push([begin, end]);
  });
  return out;
})();

/** Numbers that are made of several fields. */
const derived = (m: FuzzMachine): Record<string, number> => ({
  flags: m.engine.helpers.getFlags(CPUS) >>> 0,
  event: m.state.event & ~EVENT_TRAP,
  shadow: Number(m.state.interruptShadow === 1),
  retired: m.retired,
  outside: m.outside,
  ...(m.state.faultPending ? { vector: m.state.faultVector, error: m.state.faultError } : {}),
});

/** The first few differences, in words; nothing if there are none. */
export function differences(reference: FuzzMachine, tested: FuzzMachine, memory: boolean): string[] {
  const out: string[] = [];
  const [a, b] = [derived(reference), derived(tested)];
  for (const key of Object.keys(a)) if (a[key] !== b[key]) out.push(`${key}: ${hex(a[key]!)}, translated ${hex(b[key] ?? -1)}`);
  for (const [begin, end] of SHARED) {
    const [x, y] = [reference, tested].map((m) => m.bytes.subarray(CPUS + begin, CPUS + end)) as [Uint8Array, Uint8Array];
    if (Buffer.compare(x, y) === 0) continue;
    for (let at = begin; at < end; at += 4) {
      const [u, v] = [reference.view.getUint32(CPUS + at, true), tested.view.getUint32(CPUS + at, true)];
      if (u !== v) out.push(`${fieldAt(Cpu, at)}: ${hex(u)}, translated ${hex(v)}`);
    }
  }
  if (memory) {
    const [x, y] = [reference, tested].map((m) => m.bytes.subarray(m.ram, m.ram + USED)) as [Uint8Array, Uint8Array];
    if (Buffer.compare(x, y) !== 0)
      for (let at = 0, found = 0; at < USED && found < 16; at += 4) {
        const [u, v] = [reference.view.getUint32(reference.ram + at, true), tested.view.getUint32(tested.ram + at, true)];
        if (u === v) continue;
        found++;
        out.push(`[${at.toString(16)}]: ${hex(u)}, translated ${hex(v)}`);
      }
  }
  return out;
}

const hex = (n: number): string => (n < 0 ? 'none' : `0x${n.toString(16)}`);
