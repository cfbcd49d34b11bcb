import { expect, test } from 'vitest';
import { createMachine } from './create.ts';
import { parseCpu } from '../spec/models.ts';
import { Control, CPU_STRIDE, CPUS, Cpu, Para } from '../state/index.ts';
import { PARA_SWITCHES } from '../vmm/para/switches.ts';
import { paraStatistics } from '../vmm/para/totals.ts';

const MULTICALL = 13;
const MMU_UPDATE = 1;

test('counts of all vCPUs are added up; a VM of another technique has none', () => {
  const { memory } = createMachine({ memoryMiB: 32, vcpus: 2, cpu: parseCpu(''), para: PARA_SWITCHES });
  for (const index of [0, 1]) {
    const { para } = Cpu.view(memory.buffer, CPUS + index * CPU_STRIDE);
    para.calls.set(MULTICALL, 2);
    para.calls.set(MMU_UPDATE, 10 + index);
    para.batched.set(MMU_UPDATE, 8);
    para.multicallSizes.set(2, 2);
    para.updateSizes.set(0, index);
  }
  Para.view(memory.buffer, Control.view(memory.buffer, 0).para).ringDepths.set(3, 7);
  const { calls, multicalls, updates, rings } = paraStatistics(memory.buffer, 2)!;
  expect(calls['multicall']).toEqual({ count: 4, batched: 0, seconds: 0 });
  expect(calls['mmu_update']).toEqual({ count: 21, batched: 16, seconds: 0 });
  expect(multicalls[2]).toBe(4);
  expect(updates[0]).toBe(1);
  expect(rings[3]).toBe(7);

  expect(paraStatistics(createMachine({ memoryMiB: 32, vcpus: 1, cpu: parseCpu('') }).memory.buffer, 1)).toBeUndefined();
});
