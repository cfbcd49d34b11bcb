/** Privileged instructions of a fully virtualized guest: what traps, what is rewritten, what the guest notices, which is nothing. */
import { beforeAll, describe, expect, it, test } from 'vitest';
import { buildCore, readModule } from '../../../build/core.ts';
import { compileModules, type EngineModules } from '../../processor/engine.ts';
import {
  Cpu, CPUS, EVENT_INTERRUPT, EXIT_BUDGET, EXIT_HALT, FULL_ADAPT, FULL_ON, FULL_PATIENCE, FULL_TRANSLATE, GROUP_CONTROL, GROUP_FLAGS, GROUP_HALT,
  GROUP_PORT, GROUP_SYSTEM_CALL, VMM_CALLOUT, VMM_REFLECTED, VMM_TRAP,
} from '../../state/index.ts'; // prettier-ignore
import { Translator } from '../../translator/translator.ts';
import { FULL_REASONS, FullExits } from './exits.ts';
import { CODE, CODE0, FullMachine, STACK, TSS, type Bits } from './testing.ts';

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const HLT = 0xf4;
const CLI = 0xfa;
const STI = 0xfb;
const NOP = 0x90;
const ON = FULL_ON | FULL_TRANSLATE;
const ALL = [16, 32, 64] as const;
/** mov ecx, 20; again: ...; dec ecx; jnz again; hlt */
const TIMES = 20;
const loop = (...body: number[]): number[] => [0xb9, TIMES, 0, 0, 0, ...body, 0xff, 0xc9, 0x75, 254 - body.length - 2, HLT];
const exits = (m: FullMachine, reason: number): number => m.state.exits.get(reason);
const translator = (onRegion: () => void) => ({
  translator: (host: ConstructorParameters<typeof Translator>[0]) => new Translator(host, { after: 1, batch: 1, onRegion }),
});

describe.each([32, 64] as const)('%d-bit code', (bits) => {
  const READ_CR0 = [0x0f, 0x20, 0xc0];

  test('an instruction that keeps trapping is rewritten', () => {
    const machine = new FullMachine(bits, ON | FULL_ADAPT, modules).begin(loop(...READ_CR0));
    expect(machine.halt()).toBe('end');
    // Once in the block that leads into the loop, which is not come to again.
    expect(exits(machine, VMM_TRAP + GROUP_CONTROL)).toBe(1 + FULL_PATIENCE);
    expect(exits(machine, VMM_CALLOUT + GROUP_CONTROL)).toBe(TIMES - 1 - FULL_PATIENCE);
    expect(machine.state.privileged).toBe(TIMES + 1);
    expect(machine.retired).toBe(1 + 3 * TIMES + 1);
  });

  test('or goes on trapping, if that is not wanted', () => {
    const machine = new FullMachine(bits, ON, modules).begin(loop(...READ_CR0));
    expect(machine.halt()).toBe('end');
    expect(exits(machine, VMM_TRAP + GROUP_CONTROL)).toBe(TIMES);
    expect(exits(machine, VMM_CALLOUT + GROUP_CONTROL)).toBe(0);
    expect(machine.state.privileged).toBe(TIMES + 1);
    expect(machine.retired).toBe(1 + 3 * TIMES + 1);
  });

  test('so does a translation that was made before', () => {
    let regions = 0;
    const machine = new FullMachine(
      bits,
      ON | FULL_ADAPT,
      modules,
      translator(() => regions++),
    );
    // It is in two blocks, as above.
    for (let round = 0; round < 20; round++) expect(machine.begin(loop(...READ_CR0)).halt()).toBe('end');
    expect(regions).toBeGreaterThan(1);
    expect(exits(machine, VMM_TRAP + GROUP_CONTROL)).toBeLessThanOrEqual(2 * 2 * FULL_PATIENCE);
    const both = exits(machine, VMM_TRAP + GROUP_CONTROL) + exits(machine, VMM_CALLOUT + GROUP_CONTROL);
    expect(both).toBe(20 * TIMES);
  });

  test('CLI and STI in a region are no exits: the guest’s interrupt flag is set and cleared in place', () => {
    let regions = 0;
    const machine = new FullMachine(
      bits,
      ON | FULL_ADAPT,
      modules,
      translator(() => regions++),
    );
    for (let round = 0; round < 20; round++) expect(machine.begin(loop(STI, NOP, CLI, NOP), 0, 0x202).halt()).toBe('end');
    const before = machine.exits;
    const { privileged } = machine.state;
    machine.begin(loop(STI, NOP, CLI, NOP), 0, 0x202).halt();
    expect(machine.asBelieved().state.eflags & 0x200).toBe(0);
    expect(machine.state.privileged - privileged).toBe(2 * TIMES + 1);
    // HLT, and what the rounds before had left to the interpreter.
    expect(machine.exits - before).toBeLessThan(5);
    machine.begin([STI, HLT]).halt();
    expect(machine.asBelieved().state.eflags & 0x200).toBe(0x200);
  });
});

describe.each(ALL)('%d-bit code', (bits) => {
  const machine = (full = ON | FULL_ADAPT): FullMachine => new FullMachine(bits, full, modules);

  test('what a program may not, it may not: the guest’s handler gets the fault', () => {
    for (const code of [[CLI], [HLT], [0x0f, 0x20, 0xc0], [0xe4, 0x60], [0x0f, 0x06]]) {
      const bare = machine(0).begin(code, 3);
      const full = machine().begin(code, 3);
      expect(full.halt()).toBe(13);
      expect(bare.halt()).toBe(13);
      const frame = (m: FullMachine): number[] => Array.from({ length: 12 }, (_, i) => m.word(m.state.gpr.get(4) + 4 * i));
      expect(frame(full).slice(0, bits === 64 ? 12 : 6)).toEqual(frame(bare).slice(0, bits === 64 ? 12 : 6));
      expect(exits(full, VMM_REFLECTED)).toBe(1);
      expect(full.ring).toBe(1);
    }
  });

  test('a port that its task’s map permits, it may use', () => {
    const full = machine().begin([0xe4, 0x60, 0xeb, 0xfe], 3);
    full.words(TSS + 0x64, 0);
    expect(full.run(3)).toBe(EXIT_BUDGET);
    expect(exits(full, VMM_TRAP + GROUP_PORT)).toBe(1);
    expect(full.state.privileged).toBe(1);
  });

  test('and what its IOPL permits, it may: the physical one is 0', () => {
    const full = machine().begin([CLI, 0x90, 0xe4, 0x60, 0xeb, 0xfe], 3, 0x3202);
    expect(full.run(4)).toBe(EXIT_BUDGET);
    expect(full.state.eflags & 0x3200).toBe(0x200);
    expect(full.asBelieved().state.eflags & 0x3200).toBe(0x3000);
    expect(exits(full, VMM_TRAP + GROUP_FLAGS)).toBe(1);
    expect(exits(full, VMM_TRAP + GROUP_PORT)).toBe(1);
  });

  test('an interrupt waits for the flag that the guest has, not for the one that the processor has', () => {
    let vectors: number[] = [];
    const full = new FullMachine(bits, ON, modules, {}, {
      acknowledgeInterrupt: () => {
        full.state.event &= ~EVENT_INTERRUPT;
        return vectors.shift() ?? -1;
      },
    }); // prettier-ignore
    full.begin([NOP, 0xeb, 0xfd]);
    vectors = [0x20];
    full.state.event |= EVENT_INTERRUPT;
    expect(full.run(50)).toBe(EXIT_BUDGET);
    expect(full.state.eflags & 0x200).toBe(0x200);
    full.begin([STI, NOP, NOP, 0xeb, 0xfd]);
    expect(full.halt()).toBe(0x20);
    // It came after the instruction that follows STI.
    expect(full.word(full.state.gpr.get(4))).toBe(CODE + 2);
  });

  test('a step is an instruction, emulated or not', () => {
    const steps = (full: number): number[] => {
      const m = machine(full).begin([CLI, 0x0f, 0x20, 0xc0, NOP, HLT], 0, 0x102);
      expect(m.halt()).toBe(1);
      return [m.word(m.state.gpr.get(4)), m.retired];
    };
    expect(steps(ON)).toEqual(steps(0));
    expect(steps(ON)[0]).toBe(CODE + 1);
  });

  test('HLT ends the run, and is counted', () => {
    const full = machine(ON).begin([HLT]);
    expect(full.run()).toBe(EXIT_HALT);
    expect(exits(full, VMM_TRAP + GROUP_HALT)).toBe(1);
  });
});

test('SYSCALL enters the VMM, which is ring 0, and the guest’s kernel at ring 1', () => {
  const machine = new FullMachine(64, ON, modules).begin([0x0f, 0x05], 3);
  machine.state.efer |= 1;
  machine.view.setUint32(machine.state.address + 0, 0, true);
  machine.state.lstar = 0x5000;
  machine.state.star = CODE0 * 2 ** 32;
  machine.put(0x5000, HLT);
  expect(machine.run()).toBe(EXIT_HALT);
  expect(machine.state.rip).toBe(0x5001);
  expect(machine.ring).toBe(1);
  expect(machine.asBelieved().ring).toBe(0);
  expect(exits(machine, VMM_TRAP + GROUP_SYSTEM_CALL)).toBe(1);
});

test('AMD’s fast FXSAVE, which looks at CPL and does not trap, finds the ring that the guest believes in', () => {
  const saved = ([full, ring]: readonly [number, 0 | 3]): number => {
    const machine = new FullMachine(64, full, modules).begin([0x0f, 0xae, 0x04, 0x25, 0x00, 0x22, 0, 0, 0xcd, 0x21], ring);
    machine.state.efer |= 0x4000;
    machine.view.setUint32(CPUS + Cpu.offsets.xmm, 0x1234, true);
    machine.halt();
    return machine.word(0x2200 + 160);
  };
  const all = [0, FULL_ON, ON].flatMap((full) => [[full, 0] as const, [full, 3] as const]);
  expect(all.map(saved)).toEqual([0, 0x1234, 0, 0x1234, 0, 0x1234]);
});

test('in real-address mode everything is emulated, at no ring', () => {
  const machine = new FullMachine(16, ON | FULL_ADAPT, modules).begin([CLI, 0x9c, 0x0f, 0x01, 0xe0, HLT], 0, 0x202);
  machine.state.cr0 = 0x10;
  machine.engine.helpers.updateReach(CPUS);
  expect(machine.run()).toBe(EXIT_HALT);
  expect(machine.state.compressed).toBe(0);
  expect(machine.state.gpr.get(0) & 0xffff).toBe(0x10);
  expect(machine.half(STACK - 2) & 0x200).toBe(0);
  expect([GROUP_FLAGS, GROUP_CONTROL, GROUP_HALT].map((group) => exits(machine, VMM_CALLOUT + group))).toEqual([2, 1, 1]);
});

it('keeps a guest’s own ring 1 apart from its ring 0', () => {
  for (const bits of ALL as readonly Bits[]) {
    const machine = new FullMachine(bits, ON, modules).begin([0x8c, 0xc8, NOP, 0xeb, 0xfd], 1);
    machine.run(4);
    expect(machine.ring).toBe(1);
    expect(machine.state.gpr.get(0) & 3).toBe(1);
    expect(machine.asBelieved().ring).toBe(1);
    // Nor may it do what ring 0 may.
    expect(machine.begin([0x0f, 0x20, 0xc0], 1).halt()).toBe(13);
  }
});

describe.each([0, 3])('virtual-8086 mode, IOPL %d', (iopl) => {
  it.each([
    ['PUSHF; CLI; PUSHF; STI', [0x9c, 0x58, CLI, 0x9c, 0x5b, STI]],
    ['STI', [STI]],
    ['CLI', [CLI]],
    ['INT', [0xcd, 0x22]],
    ['POPF', [0x68, 2, 0, 0x9d]],
    ['IRET', [0x68, 2, 2, 0x0e, 0x68, 0x10, 0x0f, 0xcf]],
    ['IN', [0xe4, 0x60]],
    ['MOV from CR0', [0x0f, 0x20, 0xc0]],
  ] as const)('%s comes to the same as bare', (_, instructions) => {
    const code = [...instructions, ...Array.from({ length: 16 - instructions.length }, () => NOP), 0xcd, 0x21];
    const seen = [0, FULL_ON, ON | FULL_ADAPT].map((full) => {
      const m = new FullMachine(32, full, modules).begin(code, 3);
      const { state } = m;
      for (let n = 0; n <= 5; n++) Object.assign(state.segments[n]!, { base: 0x100, limit: 0xffff, attributes: 0xf3, selector: 0x10 });
      state.rip = CODE - 0x100;
      m.engine.helpers.setFlags(CPUS, 0x2_0202 | (iopl << 12), 0xffffffff);
      m.engine.helpers.updateReach(CPUS);
      const vector = m.halt();
      const top = state.gpr.get(4);
      return { vector, ax: state.gpr.get(0), bx: state.gpr.get(3), frame: Array.from({ length: 10 }, (_, i) => m.word(top + 4 * i)) };
    });
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });
});

test('exits have names, and a cost that is taken from samples', () => {
  expect(new Set(FULL_REASONS).size).toBe(FULL_REASONS.length);
  expect(FULL_REASONS[VMM_TRAP + GROUP_FLAGS]).toBe('trap-flags');
  expect(FULL_REASONS[VMM_CALLOUT + GROUP_SYSTEM_CALL]).toBe('callout-system-call');
  expect(FULL_REASONS[VMM_REFLECTED]).toBe('reflected-exception');
  const machine = new FullMachine(64, ON, modules);
  for (let round = 0; round < 10; round++) machine.begin(loop(0x0f, 0x20, 0xc0)).halt();
  const { state } = machine;
  const reason = VMM_TRAP + GROUP_CONTROL;
  expect(state.exitsTimed.get(reason)).toBeGreaterThan(5);
  expect(state.exitsTimed.get(reason)).toBeLessThan(20);
  state.exitsTime.set(reason, 2);
  state.exitsTimed.set(reason, 4);
  const seen = new FullExits(machine.memory.buffer, CPUS).of(reason);
  expect(seen.count).toBe(10 * TIMES);
  expect(seen.seconds).toBeCloseTo(0.0005 * 10 * TIMES);
});
