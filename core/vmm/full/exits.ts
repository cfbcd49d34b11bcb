/** Exits of full virtualization: what the processor counts in machine memory (`Cpu.exits`, by VMM_*), by name. */
import {
  Cpu, GROUP_CONTROL, GROUP_FLAGS, GROUP_HALT, GROUP_MSR, GROUP_PORT, GROUP_SEGMENT, GROUP_SYSTEM_CALL, GROUP_TABLE, GROUP_TIME, GROUP_TLB,
  GROUP_TRANSFER, VMM_CALLOUT, VMM_EXITS, VMM_REFLECTED, VMM_SHADOW, VMM_TRAP,
} from '../../state/index.ts'; // prettier-ignore

const GROUP_NAMES = [
  ['flags', GROUP_FLAGS], ['segment', GROUP_SEGMENT], ['table', GROUP_TABLE], ['transfer', GROUP_TRANSFER],
  ['system-call', GROUP_SYSTEM_CALL], ['control', GROUP_CONTROL], ['msr', GROUP_MSR], ['tlb', GROUP_TLB], ['port', GROUP_PORT],
  ['halt', GROUP_HALT], ['time', GROUP_TIME],
] as const; // prettier-ignore

type GroupName = (typeof GROUP_NAMES)[number][0];

/** `trap-`: the instruction raised #GP at ring 1 or 3. `callout-`: translated code called the VMM for it. */
export type FullReason = `${'trap' | 'callout'}-${GroupName}` | 'reflected-exception' | 'shadow-fill';

const numbers: readonly (readonly [FullReason, number])[] = [
  ...GROUP_NAMES.map(([name, group]) => [`trap-${name}`, VMM_TRAP + group] as const),
  ...GROUP_NAMES.map(([name, group]) => [`callout-${name}`, VMM_CALLOUT + group] as const),
  ['reflected-exception', VMM_REFLECTED],
  ['shadow-fill', VMM_SHADOW],
];

/** By VMM_*. */
export const FULL_REASONS: readonly FullReason[] = numbers.toSorted(([, a], [, b]) => a - b).map(([name]) => name);

/** What a vCPU's memory says of its exits. */
export class FullExits {
  /** Pairs of words: the lower one first. */
  readonly #counts: Uint32Array;
  readonly #timed: Uint32Array;
  readonly #time: Float64Array;

  /** `cpu`: the address of the vCPU's state. */
  constructor(buffer: ArrayBufferLike, cpu: number) {
    const { exits, exitsTimed, exitsTime } = Cpu.offsets;
    this.#counts = new Uint32Array(buffer, cpu + exits, 2 * VMM_EXITS);
    this.#timed = new Uint32Array(buffer, cpu + exitsTimed, 2 * VMM_EXITS);
    this.#time = new Float64Array(buffer, cpu + exitsTime, VMM_EXITS);
  }

  /** Exits of a reason (VMM_*) so far, and the seconds that they took: those that were timed stand for all. */
  of(reason: number): { readonly count: number; readonly seconds: number } {
    const wide = (words: Uint32Array): number => words[2 * reason]! + words[2 * reason + 1]! * 0x1_0000_0000;
    const count = wide(this.#counts);
    const timed = wide(this.#timed);
    return { count, seconds: timed === 0 ? 0 : (this.#time[reason]! / timed / 1000) * count };
  }
}
