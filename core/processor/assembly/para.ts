/**
 * Paravirtualization (core/vmm/para): the two modes that a vCPU of such a VM has, both at CPL 3. The guest's kernel uses the TLB's array for supervisors, its
 * programs that for users: going from one to the other flushes nothing.
 */
import {
  CONTROL_para,
  CONTROL_ram,
  CPU_event,
  CPU_para,
  CPU_rip,
  CPU_shutdown,
  EVENT_KICK,
  PARAVCPU_info,
  PARAVCPU_mode,
  PARA_KERNEL,
  PARA_crash,
  PARA_crashRip,
  SHUTDOWN_PARA,
} from './layout';

/** Offset of `ParaVcpu.mode`. */
const MODE: usize = CPU_para + PARAVCPU_mode;

// @ts-ignore: decorator
@inline
export function isPara(): bool {
  return load<u32>(0, CONTROL_para) != 0;
}

/** The guest's kernel runs, and it knows that it is none. */
// @ts-ignore: decorator
@inline
export function isParaKernel(cpu: usize): bool {
  return load<u32>(cpu, MODE) == PARA_KERNEL;
}

// @ts-ignore: decorator
@inline
export function domain(): usize {
  return <usize>load<u32>(0, CONTROL_para);
}

// @ts-ignore: decorator
@inline
export function ramAt(offset: u32): usize {
  return <usize>load<u32>(0, CONTROL_ram) + offset;
}

// -- struct vcpu_info (xen.h)

export const VCPU_INFO_PENDING: usize = 0;
export const VCPU_INFO_MASK: usize = 1;
/** arch.cr2 */
export const VCPU_INFO_CR2: usize = 16;

/** Host address of this vCPU's struct vcpu_info. */
// @ts-ignore: decorator
@inline
export function vcpuInfo(cpu: usize): usize {
  return ramAt(load<u32>(cpu, CPU_para + PARAVCPU_info));
}

/** The VMM ends the domain: no other VM has to do with it. The vCPU executes nothing more. */
export function crash(cpu: usize, reason: u32): void {
  const at = domain();
  if (load<u32>(at, PARA_crash) == 0) {
    store<u32>(at, reason, PARA_crash);
    store<u64>(at, load<u64>(cpu, CPU_rip), PARA_crashRip);
  }
  store<u32>(cpu, SHUTDOWN_PARA, CPU_shutdown);
  // It leaves what it is in.
  atomic.or<u32>(cpu + CPU_event, EVENT_KICK);
}
