/** The time-stamp counter (SDM vol. 3B, 18.17). */
import { CPU_cpl, CPU_cr4, CPU_gpr, CPU_tscAux, CPU_tscOffset } from './layout';
import { CR4_PCE, CR4_TSD } from './control';
import { generalProtection } from './fault';
import { tsc } from './host';
import { isParaKernel } from './para';

const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 8;
const RDX: usize = CPU_gpr + 16;

/** The guest's TSC now. */
export function readTsc(cpu: usize): u64 {
  return <u64>tsc(cpu) + load<u64>(cpu, CPU_tscOffset);
}

function loadTsc(cpu: usize): void {
  if (load<u64>(cpu, CPU_cr4) & CR4_TSD && load<u32>(cpu, CPU_cpl) != 0 && !isParaKernel(cpu)) generalProtection(cpu, 0);
  const now = readTsc(cpu);
  store<u64>(cpu, now & 0xffffffff, RAX);
  store<u64>(cpu, now >>> 32, RDX);
}

export function rdtsc(cpu: usize, record: usize): void {
  loadTsc(cpu);
}

export function rdtscp(cpu: usize, record: usize): void {
  loadTsc(cpu);
  store<u64>(cpu, load<u64>(cpu, CPU_tscAux) & 0xffffffff, RCX);
}

/** There is no performance counter: whatever ECX says is not one. */
export function rdpmc(cpu: usize, record: usize): void {
  if (load<u32>(cpu, CPU_cpl) != 0 && !(load<u64>(cpu, CPU_cr4) & CR4_PCE)) generalProtection(cpu, 0);
  generalProtection(cpu, 0);
}
