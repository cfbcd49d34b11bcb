import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../../build/core.ts';
import { compileModules, type EngineModules } from '../../processor/modules.ts';
import {
  Cpu, CS, DS, EVENT_INTERRUPT, EVENT_NMI, EXIT_HALT, EXIT_SHUTDOWN, GS, PARA_CRASH_HANDLER, PARA_CRASH_IRET, PARA_CRASH_STACK, PARA_KERNEL, PARA_USER, ParaVcpu, Segment, SS,
} from '../../state/index.ts'; // prettier-ignore
import { Translator } from '../../translator/translator.ts';
import { checkFrames } from './checker.ts';
import {
  CODE, DATA, EVENT_HANDLER, FAILSAFE_HANDLER, GDT_FRAME, handlerAt, kernelAt, KERNEL_L1, machineFrame, ParaMachine, RAX, RBX, RCX, RDI, RDX, RSI, RSP, set, STACK,
  STOPS, SYSCALL, SYSCALL_HANDLER, USER, USER_DATA, USER_L1, USER_STACK,
} from './testing.ts'; // prettier-ignore

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const IF = 0x200n;
const RF = 0x10000n;
const PENDING = 0;
const MASK = 1;
const CR2 = 16;
const P = ParaVcpu.offsets;
const EFAULT = -14n;
const EINVAL = -22n;
const ENOSYS = -38n;
const signed = (value: bigint): bigint => BigInt.asIntN(64, value);
const machine = (switches?: number): ParaMachine => new ParaMachine(modules, {}, switches);
const hypercall = (number: number): number[] => [...set(RAX, BigInt(number)), ...SYSCALL];
const base = (m: ParaMachine, segment: number): bigint =>
  m.u64(m.state.address + Cpu.offsets.segments + segment * Segment.size + Segment.offsets.base);

describe('hypercalls', () => {
  it('that the domain serves come to the host with six arguments', () => {
    const m = machine();
    m.answer = () => -5n;
    const code = [...set(RDI, 1n), ...set(RSI, 2n), ...set(RDX, 3n), ...set(10, 4n), ...set(8, 5n), ...set(9, 6n), ...hypercall(29 + 3)];
    expect(m.kernel(...code, 0x48, 0x89, 0xc3, ...STOPS)).toBe(EXIT_HALT);
    expect(m.calls).toEqual([{ number: 32, args: [1n, 2n, 3n, 4n, 5n, 6n] }]);
    expect(signed(m.gpr(RBX))).toBe(-5n);
    expect(m.state.para.calls.get(32)).toBe(1);
  });

  it('leave the address after SYSCALL in RCX and the flags in R11', () => {
    const m = machine();
    m.kernel(...hypercall(17), 0x48, 0x89, 0xcb, ...STOPS);
    expect(m.gpr(RBX)).toBe(CODE + 12n);
  });

  it('in a list are done each with its result, and cost one exit', () => {
    const m = machine();
    m.answer = ({ args }) => args[0]! * 2n;
    const list = [[32n, 0n, 21n], [25n, 0n, 0n, 0x1234n], [13n], [999n, 0n, 7n]];
    list.forEach((words, i) => words.forEach((w, k) => m.kernelWord(DATA + BigInt(i * 64 + k * 8), w)));
    m.kernel(...set(RDI, DATA), ...set(RSI, 4n), ...hypercall(13), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(0n);
    expect([0, 1, 2, 3].map((i) => signed(m.kernelWord(DATA + BigInt(i * 64 + 8))))).toEqual([42n, 0n, EINVAL, 14n]);
    expect(base(m, 4)).toBe(0x1234n);
    expect(m.state.para.calls.get(13)).toBe(1);
    expect(m.state.para.batched.get(25)).toBe(1);
  });

  it('in a list are done one by one where there is no batching, with the same results', () => {
    const m = machine(0);
    m.answer = ({ args }) => args[0]! + 1n;
    for (let i = 0; i < 5; i++) [32n, 0n, BigInt(i)].forEach((w, k) => m.kernelWord(DATA + BigInt(i * 64 + k * 8), w));
    m.kernel(...set(RDI, DATA), ...set(RSI, 5n), ...hypercall(13), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(0n);
    expect(m.calls.map(({ args }) => args[0])).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(m.kernelWord(DATA + 4n * 64n + 8n)).toBe(5n);
    expect(m.state.para.calls.get(13)).toBe(5);
  });

  it('with a list that cannot be read fail', () => {
    const m = machine();
    m.kernel(...set(RDI, 0x1000n), ...set(RSI, 1n), ...hypercall(13), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(EFAULT);
  });
});

describe('system calls', () => {
  it('of a program go to the callback, on the kernel stack, with its base of GS', () => {
    const m = machine();
    m.para(P.gsBaseUser, 0x7000n);
    m.para(P.gsBaseKernel, 0n);
    m.view.setBigUint64(m.state.address + Cpu.offsets.segments + GS * Segment.size + Segment.offsets.base, 0xffff_8888_0000_1000n, true);
    expect(m.user(...set(RDI, 5n), 0x0f, 5)).toBe(EXIT_HALT);
    expect(m.rip()).toBe(handlerAt(SYSCALL_HANDLER) + 7n);
    expect(m.gpr(RSP)).toBe(STACK - 56n);
    const after = USER + 12n;
    expect(m.frame(7)).toEqual([after, IF | 2n, after, 0xe033n, IF | 2n, USER_STACK, 0xe02bn]);
    expect(base(m, GS)).toBe(0xffff_8888_0000_1000n);
    expect(m.para(P.gsBaseUser)).toBe(0x7000n);
    expect(m.state.para.mode).toBe(PARA_KERNEL);
    expect(m.state.para.systemCalls).toBe(1);
  });

  it('mask events where the callback is registered so', () => {
    const m = machine();
    m.kernelWord(DATA, 2n | (1n << 16n));
    m.kernelWord(DATA + 8n, handlerAt(SYSCALL_HANDLER));
    m.kernel(...set(RDI, 0n), ...set(RSI, DATA), ...hypercall(30), ...STOPS);
    m.user(0x0f, 5);
    expect(m.info.getUint8(MASK)).toBe(1);
    expect(m.frame(4)[3]).toBe(0xe033n);
  });

  it('cost the kernel no TLB entry', () => {
    const m = machine();
    const found = (): number => m.engine.helpers.guestAddress(m.state.address, Number(DATA & 0xffff_ffffn), Number(DATA >> 32n) | 0, 0);
    const before = found();
    expect(before).not.toBe(0);
    // Behind the VMM's back: only a TLB can know of the page now.
    m.word(machineFrame(KERNEL_L1) * 4096 + 0x11 * 8, 0n);
    m.user(0x0f, 5);
    expect(found()).toBe(before);
    m.engine.helpers.flushTlb(m.state.address, 0);
    expect(found()).toBe(0);
  });
});

describe('iret', () => {
  it('takes all of a program from its frame', () => {
    const m = machine();
    // MOV [USER_DATA], RAX and RCX, R11 after it; then INT3.
    const code = [0x48, 0xa3, ...new Uint8Array(BigUint64Array.of(USER_DATA).buffer), 0xcc];
    m.put(m.userAt(USER), code);
    m.iret({ rip: USER, cs: 0xe033n, flags: 0x246n, rsp: USER_STACK - 8n, ss: 0xe02bn, rax: 99n });
    expect(m.word(m.userAt(USER_DATA))).toBe(99n);
    expect(m.rip()).toBe(handlerAt(3) + 7n);
    expect(m.frame(7)).toEqual([0xccccn, 0x1111n, USER + 11n, 0xe033n, 0x246n, USER_STACK - 8n, 0xe02bn]);
  });

  it('after a system call is as SYSRET: RCX and R11 are those', () => {
    const m = machine();
    m.put(m.userAt(USER), [0xcc]);
    m.iret({ rip: USER, cs: 0x33n, flags: 0x202n, rsp: USER_STACK, ss: 0x2bn, how: 256n });
    expect(m.frame(4)).toEqual([USER, 0x202n, USER + 1n, 0xe033n]);
  });

  it('within the kernel stays in it, and masks events as IF says', () => {
    const m = machine();
    m.iret({ rip: handlerAt(0), cs: 0xe030n, flags: 2n, rsp: DATA + 0x800n, ss: 0xe02bn });
    expect(m.rip()).toBe(handlerAt(0) + 7n);
    expect(m.gpr(RSP)).toBe(DATA + 0x800n);
    expect(m.info.getUint8(MASK)).toBe(1);
    expect(m.state.segments[CS]!.selector).toBe(0xe033);
  });

  it('lets an event in that has waited, with the program in its frame', () => {
    const m = machine();
    m.info.setUint8(PENDING, 1);
    m.info.setUint8(MASK, 1);
    m.user(0x90);
    expect(m.rip()).toBe(handlerAt(EVENT_HANDLER) + 7n);
    expect(m.frame(4)).toEqual([0xccccn, 0x1111n, USER, 0xe033n]);
    expect(m.info.getUint8(MASK)).toBe(1);
    expect(m.state.para.upcalls).toBe(1);
  });

  it('to a segment that there is not goes to the failsafe callback', () => {
    const m = machine();
    m.iret({ rip: USER, cs: 0x3bn, flags: 0x202n, rsp: USER_STACK, ss: 0xe02bn });
    expect(m.rip()).toBe(handlerAt(FAILSAFE_HANDLER) + 7n);
    expect(m.frame(11)).toEqual([0xccccn, 0x1111n, 0n, 0n, 0n, 0n, USER, 0x3bn, 0x202n, USER_STACK, 0xe02bn]);
  });

  it('with a frame that cannot be read, or without page tables for programs, ends the domain', () => {
    const m = machine();
    expect(m.kernel(...set(RSP, 0x1000n), ...hypercall(23))).toBe(EXIT_SHUTDOWN);
    expect(m.domain.crash).toBe(PARA_CRASH_IRET);
    const other = machine();
    other.para(P.userCr3, 0n);
    expect(other.user(0x90)).toBe(EXIT_SHUTDOWN);
    expect(other.domain.crash).toBe(PARA_CRASH_IRET);
  });
});

describe('exceptions', () => {
  it('of a program: page faults have their address in vcpu_info and say user', () => {
    const m = machine();
    // MOV [0x12345678], RAX
    m.user(0x48, 0xa3, ...new Uint8Array(BigUint64Array.of(0x12345678n).buffer));
    expect(m.rip()).toBe(handlerAt(14) + 7n);
    expect(m.frame(5)).toEqual([0xccccn, 0x1111n, 6n, USER, 0xe033n]);
    expect(m.info.getBigUint64(CR2, true)).toBe(0x12345678n);
  });

  it('of a program that touches the kernel: it is not in its tables', () => {
    const m = machine();
    m.user(0x48, 0xa1, ...new Uint8Array(BigUint64Array.of(DATA).buffer));
    expect(m.rip()).toBe(handlerAt(14) + 7n);
    expect(m.frame(3)[2]).toBe(4n);
  });

  it('of the kernel: on its stack, aligned to 16 bytes, with RPL 0 in CS', () => {
    const m = machine();
    m.kernel(...set(RSP, STACK - 0x18n), 0x48, 0xa1, ...new Uint8Array(BigUint64Array.of(0x5000n).buffer));
    expect(m.rip()).toBe(handlerAt(14) + 7n);
    expect(m.gpr(RSP)).toBe(STACK - 0x20n - 64n);
    expect(m.frame(8).slice(2)).toEqual([0n, CODE + 10n, 0xe030n, RF | IF | 2n, STACK - 0x18n, 0xe02bn]);
  });

  it('mask events where the trap table says so, and show what was before', () => {
    const m = machine();
    m.view.setUint8(m.state.para.address + P.traps + 6 * 16 + 10, 4);
    m.kernel(0x0f, 0x0b);
    expect(m.rip()).toBe(handlerAt(6) + 7n);
    expect(m.info.getUint8(MASK)).toBe(1);
    expect(m.frame(5).slice(2)).toEqual([CODE, 0xe030n, RF | IF | 2n]);
    m.kernel(0x0f, 0x0b);
    expect(m.frame(5).slice(2)).toEqual([CODE, 0xe030n | (1n << 32n), RF | 2n]);
  });

  it('cross pages of the kernel stack', () => {
    const m = machine();
    m.para(P.kernelSp, STACK + 0x10n);
    m.user(0x0f, 0x0b);
    expect(m.gpr(RSP)).toBe(STACK + 0x10n - 0x10n - 56n + 0x10n - 0n);
    expect(m.frame(4)).toEqual([0xccccn, 0x1111n, USER, 0xe033n]);
  });

  it('INT n is for programs where the trap table permits it', () => {
    const m = machine();
    m.user(0xcd, 0x80);
    expect(m.rip()).toBe(handlerAt(13) + 7n);
    expect(m.frame(4)).toEqual([0xccccn, 0x1111n, 0x402n, USER]);
    m.view.setUint8(m.state.para.address + P.traps + 0x80 * 16 + 10, 3);
    m.user(0xcd, 0x80);
    expect(m.rip()).toBe(handlerAt(0x80) + 7n);
    expect(m.frame(3)[2]).toBe(USER + 2n);
  });

  it('without a handler, or without a stack, end the domain', () => {
    const m = machine();
    m.view.setBigUint64(m.state.para.address + P.traps + 6 * 16, 0n, true);
    expect(m.kernel(0x0f, 0x0b)).toBe(EXIT_SHUTDOWN);
    expect(m.domain.crash).toBe(PARA_CRASH_HANDLER);
    const other = machine();
    expect(other.kernel(...set(RSP, 0x1000n), 0x0f, 0x0b)).toBe(EXIT_SHUTDOWN);
    expect(other.domain.crash).toBe(PARA_CRASH_STACK);
  });

  it('a page table is no stack', () => {
    const m = machine();
    expect(m.kernel(...set(RSP, kernelAt(KERNEL_L1, 0x800)), 0x0f, 0x0b)).toBe(EXIT_SHUTDOWN);
    expect(m.domain.crash).toBe(PARA_CRASH_STACK);
  });
});

describe('events', () => {
  it('are taken between blocks, unless masked', () => {
    const m = machine();
    m.info.setUint8(PENDING, 1);
    m.state.event |= EVENT_INTERRUPT;
    m.kernel(0x90, ...STOPS);
    expect(m.rip()).toBe(handlerAt(EVENT_HANDLER) + 7n);
    expect(m.state.event & EVENT_INTERRUPT).toBe(0);
    m.state.event |= EVENT_INTERRUPT;
    m.kernel(0x90, ...STOPS);
    expect(m.rip()).toBe(CODE + 8n);
  });

  it('are taken on return from a hypercall', () => {
    const m = machine();
    m.info.setUint8(PENDING, 1);
    m.kernel(...hypercall(17), ...STOPS);
    expect(m.rip()).toBe(handlerAt(EVENT_HANDLER) + 7n);
    expect(m.frame(4)[2]).toBe(CODE + 12n);
  });
});

describe('what the kernel is shown of the processor', () => {
  it('the table of frames, to read only, and not to programs', () => {
    const m = machine();
    const table = 0xffff_8000_0000_0000n + BigInt(machineFrame(0x20) * 8);
    m.kernel(0x48, 0xa1, ...new Uint8Array(BigUint64Array.of(table).buffer), 0x48, 0x89, 0xc3, ...STOPS);
    expect(m.gpr(RBX)).toBe(0x20n);
    m.kernel(0x48, 0xa3, ...new Uint8Array(BigUint64Array.of(table).buffer));
    expect([m.rip(), m.frame(3)[2]]).toEqual([handlerAt(14) + 7n, 3n]);
    m.user(0x48, 0xa1, ...new Uint8Array(BigUint64Array.of(table).buffer));
    expect([m.rip(), m.frame(3)[2]]).toEqual([handlerAt(14) + 7n, 4n]);
    expect(m.engine.helpers.guestAddress(m.state.address, Number(table & 0xffff_ffffn), Number(table >> 32n), 0)).toBe(0);
  });

  it('CPUID behind the prefix', () => {
    const m = machine();
    m.kernel(...set(RAX, 0n), 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2, 0x89, 0xde, ...STOPS);
    expect(m.rip()).toBe(CODE + 26n);
    expect(m.gpr(RSI)).toBe(0x756e6547n);
  });

  it('Xen as the VMM, and no pages but those of 4 KiB', () => {
    const m = machine();
    m.kernel(...set(RAX, 0x4000_0000n), 0x0f, 0xa2, 0x89, 0xde, 0x89, 0xcf, ...STOPS);
    const signature = Uint32Array.of(Number(m.gpr(RSI)), Number(m.gpr(RDI)), Number(m.gpr(RDX)));
    expect(Buffer.from(signature.buffer).toString('latin1')).toBe('XenVMMXenVMM');
    m.kernel(...set(RAX, 1n), 0x0f, 0xa2, ...STOPS);
    expect(Number(m.gpr(RDX)) & ((1 << 3) | (1 << 12) | (1 << 13) | (1 << 17))).toBe(0);
    m.kernel(...set(RAX, 0x8000_0001n), 0x0f, 0xa2, ...STOPS);
    expect(Number(m.gpr(RDX)) & (1 << 26)).toBe(0);
  });

  it('MSRs of FS and GS, and of no more than a few', () => {
    const m = machine();
    // WRMSR of FS base, RDMSR of the program's base of GS.
    m.para(P.gsBaseUser, 0x1_2345_6789n);
    m.kernel(
      ...set(RCX, 0xc0000100n),
      ...set(RAX, 0x5000n),
      ...set(RDX, 0x7n),
      0x0f,
      0x30,
      ...set(RCX, 0xc0000102n),
      0x0f,
      0x32,
      0x89,
      0xc3,
      ...STOPS,
    );
    expect(base(m, 4)).toBe(0x7_0000_5000n);
    expect([m.gpr(RBX), m.gpr(RDX)]).toEqual([0x23456789n, 1n]);
    m.kernel(...set(RCX, 0xc0000082n), 0x0f, 0x32);
    expect(m.rip()).toBe(handlerAt(13) + 7n);
    m.user(...set(RCX, 0xc0000100n), 0x0f, 0x32);
    expect(m.rip()).toBe(handlerAt(13) + 7n);
  });

  it('CR0.TS, with #NM that clears it', () => {
    const m = machine();
    m.kernel(...set(RDI, 1n), ...hypercall(5), 0x0f, 0x20, 0xc3, 0xd9, 0xe8);
    expect(m.rip()).toBe(handlerAt(7) + 7n);
    expect(m.gpr(RBX) & 8n).toBe(8n);
    expect(m.state.cr0 & 8).toBe(0);
  });

  it('NMIs, if it has a callback for them', () => {
    const m = machine();
    m.state.event |= EVENT_NMI;
    m.kernel(0x90, ...STOPS);
    expect(m.rip()).toBe(CODE + 8n);
    m.para(P.nmiCallback, handlerAt(2));
    m.state.event |= EVENT_NMI;
    m.kernel(0x90, ...STOPS);
    expect([m.rip(), m.info.getUint8(MASK)]).toEqual([handlerAt(2) + 7n, 1]);
  });

  it('no interrupt flag: with IOPL, CLI and STI do nothing', () => {
    const m = machine();
    m.state.para.iopl = 1;
    expect(m.kernel(0xfa, 0xfb, 0x90, ...STOPS)).toBe(EXIT_HALT);
    expect([m.rip(), m.state.eflags & 0x200]).toEqual([CODE + 10n, 0x200]);
    m.user(0xfa);
    expect(m.rip()).toBe(handlerAt(13) + 7n);
  });

  it('no privileged instruction beyond those', () => {
    for (const code of [[0xfa], [0xf4], [0x0f, 0x01, 0x10], [0x0f, 0x22, 0xd8], [0x0f, 0x07], [0xec]]) {
      const m = machine();
      m.kernel(...code);
      expect([code, m.rip()]).toEqual([code, handlerAt(13) + 7n]);
    }
  });
});

describe('page tables that the kernel writes to', () => {
  // Of the page at DATA: XCHG, LOCK BTR of its writable bit, LOCK OR of it, MOV.
  const at = kernelAt(KERNEL_L1, 0x11 * 8);
  const entry = (BigInt(machineFrame(0x11)) << 12n) | 0x67n;
  const WRITES = [
    [0xb9, 40, 0, 0, 0],
    [...set(RAX, entry), 0x48, 0x87, 0x07],
    [0xf0, 0x48, 0x0f, 0xba, 0x37, 1],
    [0xf0, 0x48, 0x83, 0x0f, 2],
    [...set(RAX, entry), 0x48, 0x89, 0x07],
    [0xff, 0xc9, 0x75, 256 - 13 - 6 - 5 - 13 - 4],
    STOPS,
  ].flat();

  it('are written as validated updates, interpreted and translated', () => {
    let regions = 0;
    const options = { after: 1, batch: 1, onRegion: () => regions++ };
    const translated = new ParaMachine(modules, { translator: (host) => new Translator(host, options) });
    for (const m of [machine(), translated]) {
      expect(m.kernel(...set(RDI, at), ...WRITES)).toBe(EXIT_HALT);
      expect(m.kernelWord(at) & ~0x10_0000_0000_0060n).toBe(entry & ~0x60n);
      expect(m.state.para.pageTableWrites).toBe(160);
      expect(checkFrames(m.memory.buffer)).toEqual([]);
    }
    expect(regions).toBeGreaterThan(0);
  });

  it('are its own: those of other domains it does not reach', () => {
    const m = machine();
    const update = (domain: bigint): bigint => {
      m.kernel(...set(RDI, DATA), ...set(RSI, entry), ...set(RDX, 2n), ...set(10, domain), ...hypercall(22), 0x48, 0x89, 0xc3, ...STOPS);
      return signed(m.gpr(RBX));
    };
    expect([update(0x7ff0n), update(1n), update(5n)]).toEqual([0n, 0n, -3n]);
  });

  it('cannot be made to map the VMM, or a page table to write to', () => {
    for (const value of [0x67n, (BigInt(machineFrame(KERNEL_L1)) << 12n) | 0x67n]) {
      for (const write of [
        [0x48, 0x87, 0x07],
        [0x48, 0x89, 0x07],
      ]) {
        const m = machine();
        m.kernel(...set(RDI, at), ...set(RAX, value), ...write);
        expect([m.rip(), m.frame(3)[2], m.info.getBigUint64(CR2, true)]).toEqual([handlerAt(14) + 7n, 3n, at]);
        expect(checkFrames(m.memory.buffer)).toEqual([]);
      }
    }
  });
});

describe("a program's page tables", () => {
  const OTHER = 0x30;
  /** In a program's upper half; walks remember it elsewhere than the program's code. */
  const UPPER = 0xffff_9000_0020_0000n;
  const entry = (frame: number, flags = 7n): bigint => (BigInt(machineFrame(frame)) << 12n) | flags;
  const place = (frame: number, index: number): bigint => BigInt(machineFrame(frame) * 4096 + index * 8);
  /** The kernel asks for one operation of mmu_update (1) or mmuext_op (26); its result. */
  const ask = (m: ParaMachine, number: number, words: bigint[]): bigint => {
    words.forEach((word, i) => m.kernelWord(DATA + BigInt(i * 8), word));
    m.kernel(...set(RDI, DATA), ...set(RSI, 1n), ...set(RDX, 0n), ...set(10, 0x7ff0n), ...hypercall(number), 0x48, 0x89, 0xc3, ...STOPS);
    return signed(m.gpr(RBX));
  };
  const use = (m: ParaMachine, frame: number): bigint => ask(m, 26, [15n, BigInt(frame && machineFrame(frame))]);

  it('come and go, and what the TLB has of the kernel stays', () => {
    const m = machine();
    const found = (): number => m.engine.helpers.guestAddress(m.state.address, Number(STACK & 0xffff_f000n) - 4096, -1, 0);
    const before = found();
    expect(before).not.toBe(0);
    // Behind the VMM's back: only a TLB can know of the page now.
    const at = machineFrame(KERNEL_L1) * 4096 + 0x12 * 8;
    const was = m.word(at, 0n);
    expect([use(m, 0), use(m, 4)]).toEqual([0n, 0n]);
    expect(found()).toBe(before);
    m.word(at, was);
  });

  it('are walked anew after a change, in the upper half as well', () => {
    const m = machine();
    // The program's page of data twice more: in its own tables, and with other content in others.
    expect([ask(m, 1, [place(4, 288), entry(5)]), ask(m, 1, [place(6, 3), entry(USER_L1)])]).toEqual([0n, 0n]);
    for (const frame of [0x30, 0x31, 0x32, 0x33]) expect(ask(m, 1, [place(KERNEL_L1, frame), entry(frame, 5n)])).toBe(0n);
    m.word(Number(place(OTHER, 0)), entry(5));
    m.word(Number(place(OTHER, 288)), entry(0x31));
    m.word(Number(place(0x31, 0)), entry(0x32));
    m.word(Number(place(0x32, 3)), entry(0x33));
    m.word(Number(place(0x33, 1)), entry(0x34));
    // MMUEXT_PIN_L4_TABLE: they stay tables.
    for (const frame of [4, OTHER]) expect(ask(m, 26, [3n, BigInt(machineFrame(frame))])).toBe(0n);
    m.word(m.userAt(USER_DATA), 1n);
    m.word(machineFrame(0x34) * 4096, 2n);
    const read = (): bigint => {
      // MOV RAX, [UPPER + USER_DATA]; MOV RBX, RAX; INT3.
      m.user(0x48, 0xa1, ...new Uint8Array(BigUint64Array.of(UPPER + USER_DATA).buffer), 0x48, 0x89, 0xc3, 0xcc);
      return m.gpr(RBX);
    };
    const seen: bigint[] = [];
    for (const frame of [4, OTHER, 4, OTHER]) {
      expect(use(m, frame)).toBe(0n);
      seen.push(read());
    }
    expect(seen).toEqual([1n, 2n, 1n, 2n]);
    expect(checkFrames(m.memory.buffer)).toEqual([]);
  });
});

describe('segments', () => {
  it('come from frames that are no longer writable, with privilege level 3 for all', () => {
    const m = machine();
    m.kernelWord(DATA, BigInt(machineFrame(GDT_FRAME)));
    m.kernelWord(kernelAt(GDT_FRAME, 0x18), 0x00cf_9300_0000_ffffn);
    m.kernelWord(kernelAt(GDT_FRAME, 0x20), 0x00cf_8900_0000_0067n & ~(0x80n << 40n));
    // MOV DS, 0x18
    m.kernel(...set(RDI, DATA), ...set(RSI, 512n), ...hypercall(2), 0x48, 0x89, 0xc3, 0xb8, 0x18, 0, 0, 0, 0x8e, 0xd8, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(0n);
    const { selector, attributes } = m.state.segments[DS]!;
    expect([selector, attributes & 0xff]).toEqual([0x18, 0xf3]);
    const at = BigInt(machineFrame(GDT_FRAME) * 4096 + 0x28);
    m.kernel(...set(RDI, at), ...set(RSI, 0x00cf_9200_1000_ffffn), ...hypercall(10), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(0n);
    expect(m.word(Number(at))).toBe(0x00cf_f200_1000_ffffn);
  });

  it('no call gate, no segment of the VMM, no table page', () => {
    const m = machine();
    const at = BigInt(machineFrame(0x30) * 4096);
    m.kernel(...set(RDI, at), ...set(RSI, 0x0000_ec00_0010_0000n), ...hypercall(10), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(EINVAL);
    m.kernel(...set(RDI, BigInt(machineFrame(KERNEL_L1) * 4096)), ...set(RSI, 0n), ...hypercall(10), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(EINVAL);
    m.kernel(...set(RDI, 0n), ...set(RSI, 8000n), ...hypercall(2), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(EINVAL);
  });

  it('of an LDT are looked at when they are loaded', () => {
    const m = machine();
    m.kernelWord(DATA + 8n, 0x00cf_9300_4000_ffffn);
    m.para(P.ldtBase, DATA);
    m.state.para.ldtEntries = 2;
    // MOV DS, 0xf; then the entry after the last.
    m.kernel(0xb8, 0x0f, 0, 0, 0, 0x8e, 0xd8, ...STOPS);
    expect(m.state.segments[DS]!.attributes & 0x60).toBe(0x60);
    expect(m.kernelWord(DATA + 8n)).toBe(0x00cf_9300_4000_ffffn);
    m.kernel(0xb8, 0x17, 0, 0, 0, 0x8e, 0xd8);
    expect([m.rip(), m.frame(3)[2]]).toEqual([handlerAt(13) + 7n, 0x14n]);
  });

  it('the base of a program comes with set_segment_base, and unknown numbers fail', () => {
    const m = machine();
    m.kernel(...set(RDI, 1n), ...set(RSI, 0x4444n), ...hypercall(25), ...STOPS);
    expect(m.para(P.gsBaseUser)).toBe(0x4444n);
    m.kernel(...set(RDI, 7n), ...set(RSI, 0n), ...hypercall(25), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(EINVAL);
    m.kernel(...set(RDI, 9n), ...hypercall(30), 0x48, 0x89, 0xc3, ...STOPS);
    expect(signed(m.gpr(RBX))).toBe(ENOSYS);
  });

  it('user mode is what it says', () => {
    const m = machine();
    m.put(m.userAt(USER), [0xeb, 0xfe]);
    m.iret({ rip: USER, cs: 0xe033n, flags: 0x202n, rsp: USER_STACK, ss: 0xe02bn });
    expect(m.state.para.mode).toBe(PARA_USER);
    expect(m.state.segments[SS]!.selector).toBe(0xe02b);
    const { userInstructions, budgetMark, budget } = m.state;
    expect(userInstructions + budgetMark - budget).toBeGreaterThan(9990);
  });
});
