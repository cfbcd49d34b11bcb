/** What a region must know of the helpers that rows name, to call them without being left: which registers and flags they have to do with, and what has
 *  to be looked at afterwards. A row whose helper is not here is the interpreter's. */

export interface Effect {
  /** General registers read or changed, besides those that the record names as operands. */
  readonly registers: readonly number[];
  /** Arithmetic flags are read or changed. */
  readonly flags: boolean;
  /** An event may be waiting afterwards that is to be seen to: an interrupt, or that the vCPU comes out. */
  readonly events: boolean;
  /** And what a region rests on may be otherwise, or it goes on elsewhere than at the next instruction. */
  readonly checked: boolean;
  /** Repeated by a prefix, it may fault, or end for a time, with some elements done: registers say how far it came, and the budget what it took. */
  readonly repeats: boolean;
}

const effect = (names: string, registers: readonly number[], ...what: ('flags' | 'events' | 'checked' | 'repeats')[]): [string, Effect][] =>
  names.split(' ').map((name) => [
    name,
    {
      registers,
      flags: what.includes('flags'),
      events: what.includes('events'),
      checked: what.includes('checked'),
      repeats: what.includes('repeats'),
    },
  ]);

/** Registers that string instructions change: RAX, RCX, RSI, RDI. A fault leaves them as they are then. */
export const STRING_REGISTERS: readonly number[] = [0, 1, 6, 7];

/** Instructions that the translator does itself unless they fault (emitter/system.ts). */
export const DIRECT: ReadonlySet<string> = new Set(['cli', 'sti', 'swapgs']);

export const EFFECTS: ReadonlyMap<string, Effect> = new Map([
  ...effect('cli swapgs', []),
  ...effect('sti', [], 'events'),
  ...effect('pushf', [4], 'flags'),
  ...effect('popf', [4], 'flags', 'checked'),
  ...effect('stac clac fwait emms ldmxcsr stmxcsr clflush clts', []),
  ...effect('rdtsc', [0, 2], 'events'),
  ...effect('rdtscp rdmsr', [0, 1, 2], 'events'),
  ...effect('xgetbv', [0, 1, 2]),
  ...effect('cpuid', [0, 1, 2, 3]),
  ...effect('wrmsr', [0, 1, 2], 'checked'),
  ...effect('in_al_imm in_eax_imm in_al_dx in_eax_dx', [0, 2], 'events'),
  ...effect('out_imm_al out_imm_eax out_dx_al out_dx_eax', [0, 2], 'checked'),
  ...effect('movsb movs stosb stos lodsb lods', STRING_REGISTERS, 'checked', 'repeats'),
  ...effect('scasb scas cmpsb cmps', STRING_REGISTERS, 'flags', 'checked', 'repeats'),
  ...effect('insb ins outsb outs', [...STRING_REGISTERS, 2], 'checked', 'repeats'),
  ...effect('mov_from_cr mov_rm_sreg smsw str sldt sgdt sidt rdfsbase rdgsbase wrfsbase wrgsbase', []),
  ...effect('mov_to_cr mov_sreg_rm lds les lss lfs lgs', [], 'checked'),
  ...effect('push_cs push_ds push_es push_fs push_gs push_ss', [4]),
  ...effect('pop_ds pop_es pop_fs pop_gs pop_ss', [4], 'checked'),
  ...effect('lar lsl verr verw', [], 'flags'),
]);

/** x87 instructions that have to do with registers or flags of the integer unit. */
export const X87_INTEGER = /^(fn?stsw_ax|fcmov|fu?comi)/;
