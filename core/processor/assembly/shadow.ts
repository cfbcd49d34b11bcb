/** The one instruction after STI, MOV SS and POP SS before which no interrupt is taken (SDM vol. 3A, 6.8.3). */
import { CPU_budget, CPU_interruptShadow, CPU_shadowBudget, RECORD_position } from './layout';

/** For the helper of such an instruction. */
export function beginShadow(cpu: usize, record: usize): void {
  store<u32>(cpu, 1, CPU_interruptShadow);
  store<i32>(cpu, load<i32>(cpu, CPU_budget) - <i32>load<u8>(record, RECORD_position) - 1, CPU_shadowBudget);
}

/** Between blocks: a shadow is over if others of its block have followed the instruction that began it. */
export function endShadow(cpu: usize): void {
  if (load<u32>(cpu, CPU_interruptShadow) != 1) return;
  if (load<i32>(cpu, CPU_budget) != load<i32>(cpu, CPU_shadowBudget)) store<u32>(cpu, 0, CPU_interruptShadow);
}
