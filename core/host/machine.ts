/** A machine's memory as the host's main thread sees it: it makes it, drains consoles and gives them input, and runs nothing. */
import { Ring } from '../bus/ring.ts';
import { createMachine } from '../machine/create.ts';
import { INPUT_RING, OUTPUT_RING, places } from '../machine/places.ts';
import { parseCpu } from '../spec/models.ts';
import { CPU_STRIDE, CPUS, Cpu, EVENT_KICK, MIB, Para } from '../state/index.ts';
import { translationStatistics } from '../translator/statistics.ts';
import { FULL_SWITCHES } from '../vmm/full/switches.ts';
import { diskCounts } from '../vmm/para/block/statistics.ts';
import { PARA_SWITCHES } from '../vmm/para/switches.ts';
import { paraStatistics } from '../vmm/para/totals.ts';
import { UserError } from './api.ts';
import type { MachineWindow } from './pool.ts';
import type { MachineSpec } from './protocol.ts';

/** Makes the memory of a machine. Throws a UserError if the host cannot give it. */
export function makeMemory(spec: MachineSpec): { memory: WebAssembly.Memory; window: MachineWindow } {
  const memoryMiB = spec.memory / MIB;
  let made: ReturnType<typeof createMachine>;
  try {
    const full = spec.technique === 'full' ? (spec.full ?? FULL_SWITCHES) : undefined;
    const para = spec.technique === 'para' ? (spec.para ?? PARA_SWITCHES) : undefined;
    made = createMachine({ memoryMiB, vcpus: spec.vcpus, cpu: parseCpu(spec.cpu ?? ''), full, para });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(`A VM with ${memoryMiB} MiB of memory cannot be made here: ${why}.`, 'memory');
  }
  const { buffer } = made.memory;
  const place = places(made.layout);
  const { vbds } = place.para;
  const consoles = place.consoles.slice(0, spec.serials);
  for (const { output, input } of consoles) {
    new Ring(buffer, output, OUTPUT_RING).reset();
    new Ring(buffer, input, INPUT_RING).reset();
  }
  const outputs = consoles.map(({ output }) => new Ring(buffer, output, OUTPUT_RING));
  const inputs = consoles.map(({ input }) => new Ring(buffer, input, INPUT_RING));
  const words = new Int32Array(buffer);
  const { para } = made.layout;
  const wide = new BigUint64Array(buffer, 0, made.layout.ram >> 3);
  return {
    memory: made.memory,
    window: {
      drain(port) {
        const data = outputs[port]?.read();
        return data === undefined || data.length === 0 ? undefined : data;
      },
      write: (port, data) => inputs[port]?.write(data) ?? data.length,
      activity: (cpu) => words[(CPUS + cpu * CPU_STRIDE + Cpu.offsets.activity) >> 2]!,
      retired(cpu) {
        const at = CPUS + cpu * CPU_STRIDE;
        // In one load: another thread counts meanwhile.
        const count = (offset: number): number => Number(wide[(at + offset) >> 3]);
        const { privileged, sensitive, endedInterpreted, endedTranslated } = Cpu.offsets;
        return {
          privileged: count(privileged),
          sensitive: count(sensitive),
          endedInterpreted: words[(at + endedInterpreted) >> 2]!,
          endedTranslated: words[(at + endedTranslated) >> 2]!,
        };
      },
      translation: () => translationStatistics(buffer),
      posted: () => para !== 0 && Atomics.load(words, (para + Para.offsets.anyPosted) >> 2) !== 0,
      para: () => paraStatistics(buffer, spec.vcpus),
      disks: () => (para === 0 ? undefined : diskCounts(buffer, vbds)),
      kick(cpu) {
        Atomics.or(words, (CPUS + cpu * CPU_STRIDE + Cpu.offsets.event) >> 2, EVENT_KICK);
      },
    },
  };
}
