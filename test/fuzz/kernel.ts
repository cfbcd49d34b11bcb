/**
 * The small kernel under the programs: it logs every event with all registers, mends what can be mended, and else lets the program go on
 * where that wanted to. It is guest code like any other, and translated too.
 */
import { Assembler, assemble, le } from './assembler.ts';
import * as P from './places.ts';

export interface Piece {
  readonly at: number;
  readonly bytes: ArrayLike<number>;
}

export type Bits = 32 | 64;
/** Of an entry of a page table. */
export type EntrySize = 4 | 8;

const EXCEPTIONS_WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

/** Absolute operands: 32-bit displacement, without base. */
const absolute = (bits: Bits, reg: number, address: number): number[] =>
  bits === 64 ? [(reg << 3) | 4, 0x25, ...le(address)] : [(reg << 3) | 5, ...le(address)];

function stubs(common: number): Piece {
  const bytes: number[] = [];
  for (let vector = 0; vector < 256; vector++) {
    const stub: number[] = [];
    if (!EXCEPTIONS_WITH_ERROR.has(vector)) stub.push(0x6a, 0);
    stub.push(0x68, ...le(vector));
    const at = P.STUBS + vector * 16 + stub.length;
    stub.push(0xe9, ...le(common - at - 5));
    while (stub.length < 16) stub.push(0x90);
    bytes.push(...stub);
  }
  return { at: P.STUBS, bytes };
}

interface Labels {
  readonly done: number;
  readonly recover: number;
}

/** What both kernels share: `frame` says where things are on the stack, `w` is REX.W or nothing. */
function dispatch(a: Assembler, bits: Bits, entrySize: EntrySize, frame: { vector: number; flags: number }, labels: Labels): void {
  const w = bits === 64 ? [0x48] : [];
  const abs = (reg: number, address: number): number[] => absolute(bits, reg, address);
  const stop = a.label();
  const on = (vector: number, label: number, condition = 0x84): void => {
    // cmp eax, vector; jcc
    a.put(0x3d, ...le(vector), 0x0f, condition).fix('rel32', { label });
  };
  // inc dword [EVENTS]; cmp dword [EVENTS], most; ja stop
  a.put(0xff, ...abs(0, P.EVENTS), 0x81, ...abs(7, P.EVENTS), ...le(P.EVENTS_MOST), 0x0f, 0x87).fix('rel32', { label: stop });
  // mov eax, [esp + vector]
  a.put(0x8b, 0x84, 0x24, ...le(frame.vector));
  const [pageFault, debug, device, invalid] = [a.label(), a.label(), a.label(), a.label()];
  const [unfix, swap, execute, space] = [a.label(), a.label(), a.label(), a.label()];
  on(14, pageFault);
  on(1, debug);
  on(7, device);
  on(6, invalid);
  for (const vector of [2, 3, 4]) on(vector, labels.done);
  on(P.SERVICE_UNFIX, unfix);
  on(P.SERVICE_SWAP, swap);
  on(P.SERVICE_EXECUTE, execute);
  on(P.SERVICE_SPACE, space);
  on(32, labels.done, 0x83);
  a.put(0xe9).fix('rel32', { label: labels.recover });

  // #PF: mov eax, cr2; shr eax, 12; and eax, 0x1ff; mov cl, [FIX + eax]; test cl, cl; jz recover
  a.here(pageFault).put(0x0f, 0x20, 0xd0, 0xc1, 0xe8, 12, 0x25, ...le(0x1ff), 0x8a, 0x88, ...le(P.FIX), 0x84, 0xc9, 0x0f, 0x84);
  a.fix('rel32', { label: labels.recover });
  // or [TABLES + 0x3000 + eax * size], cl; mov eax, cr2; invlpg [eax]; jmp done
  a.put(0x08, 0x0c, entrySize === 8 ? 0xc5 : 0x85, ...le(P.TABLES + 0x3000), 0x0f, 0x20, 0xd0, 0x0f, 0x01, 0x38, 0xe9);
  a.fix('rel32', { label: labels.done });

  // #DB: mov dr6, 0; set RF; dec dword [STEPS]; jg done; clear TF
  a.here(debug).put(0x31, 0xc0, 0x0f, 0x23, 0xf0, 0x81, 0x8c, 0x24, ...le(frame.flags), ...le(0x10000));
  a.put(0xff, ...abs(1, P.CONTROL_ALIAS + P.STEPS), 0x0f, 0x8f).fix('rel32', { label: labels.done });
  a.put(0x81, 0xa4, 0x24, ...le(frame.flags), ...le(~0x100), 0xe9).fix('rel32', { label: labels.done });

  // #NM: clts
  a.here(device).put(0x0f, 0x06, 0xe9).fix('rel32', { label: labels.done });

  // #UD: CR0 and CR4 as they were at first
  a.here(invalid).put(...w, 0x8b, ...abs(0, P.CR0_DEFAULT), 0x0f, 0x22, 0xc0, ...w, 0x8b, ...abs(0, P.CR4_DEFAULT), 0x0f, 0x22, 0xe0, 0xe9);
  a.fix('rel32', { label: labels.recover });

  // mov esi, UNFIX; next: mov eax, [esi]; test eax, eax; jz end; mov ecx, [esi + 4]; mov [TABLES + 0x3000 + eax * size], ecx; add esi, 8; jmp next
  const [next, end] = [a.label(), a.label()];
  a.here(unfix).put(0xbe, ...le(P.UNFIX));
  a.here(next).put(0x8b, 0x06, 0x85, 0xc0, 0x74).fix('rel8', { label: end });
  a.put(0x8b, 0x4e, 4, 0x89, 0x0c, entrySize === 8 ? 0xc5 : 0x85, ...le(P.TABLES + 0x3000), 0x83, 0xc6, 8, 0xeb).fix('rel8', {
    label: next,
  });
  // mov eax, cr3; mov cr3, eax
  a.here(end).put(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xe9).fix('rel32', { label: labels.done });

  // Two pages change places: mov eax, [a]; xchg eax, [b]; mov [a], eax; invlpg [a's page]; invlpg [b's]
  const exchange = (label: number, one: number, two: number): void => {
    const entry = (page: number): number => P.TABLES + 0x3000 + (page >>> 12) * entrySize;
    a.here(label).put(0x8b, ...abs(0, entry(one)), 0x87, ...abs(0, entry(two)), 0x89, ...abs(0, entry(one)));
    a.put(0x0f, 0x01, ...abs(7, one), 0x0f, 0x01, ...abs(7, two), 0xe9).fix('rel32', { label: labels.done });
  };
  exchange(swap, P.DATA + P.PAGE, P.DATA + 2 * P.PAGE);
  exchange(execute, P.EXECUTE_ALIAS, P.EXECUTE_ALIAS + P.PAGE);
  // The other address space: mov eax, cr3; xor eax, 0x4000; mov cr3, eax
  a.here(space)
    .put(0x0f, 0x20, 0xd8, 0x35, ...le(0x4000), 0x0f, 0x22, 0xd8, 0xe9)
    .fix('rel32', { label: labels.done });

  // cli; hlt; jmp back
  a.here(stop).put(0xfa, 0xf4, 0xeb, 0xfc);
}

/** Where floating-point exceptions come in: clts; fninit; ldmxcsr. eax is the vector. */
function quiet(a: Assembler, bits: Bits): void {
  const skip = a.label();
  // mov ecx, eax; and ecx, ~3; cmp ecx, 16; jne skip
  a.put(0x89, 0xc1, 0x83, 0xe1, 0xfc, 0x83, 0xf9, 16, 0x75).fix('rel8', { label: skip });
  a.put(0x0f, 0x06, 0xdb, 0xe3, 0x0f, 0xae, ...absolute(bits, 2, P.MXCSR_DEFAULT)).here(skip);
}

function common64(): { bytes: Uint8Array; syscall: number; sysenter: number } {
  const a = new Assembler();
  const done = a.label();
  const recover = a.label();
  const REGISTERS = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
  const frame = { vector: 120, rip: 136, cs: 144, flags: 152, rsp: 160, ss: 168 };
  const at = (register: number, offset: number): number[] => [0x84 | (register << 3), 0x24, ...le(offset)];
  for (const r of REGISTERS) a.put(...(r > 7 ? [0x41] : []), 0x50 | (r & 7));
  // cld; mov edi, [LOG_NEXT]; mov rsi, rsp; movsq, 22 times; mov rax, cr2; stosq; mov rax, dr6; stosq
  a.put(0xfc, 0x8b, ...absolute(64, 7, P.LOG_NEXT), 0x48, 0x89, 0xe6, ...Array.from({ length: 22 }, () => [0x48, 0xa5]).flat());
  a.put(0x0f, 0x20, 0xd0, 0x48, 0xab, 0x0f, 0x21, 0xf0, 0x48, 0xab);
  // mov eax, [LOG_NEXT]; add eax, 256; and eax, ~0x1000; mov [LOG_NEXT], eax
  a.put(0x8b, ...absolute(64, 0, P.LOG_NEXT), 0x05, ...le(256), 0x25, ...le(~0x1000), 0x89, ...absolute(64, 0, P.LOG_NEXT));
  const [toKernel, toUser, over] = [a.label(), a.label(), a.label()];
  // mov eax, [rsp + vector]; cmp eax, SERVICE_KERNEL; je; cmp eax, SERVICE_USER; je
  a.put(0x8b, ...at(0, frame.vector), 0x3d, ...le(P.SERVICE_KERNEL), 0x0f, 0x84).fix('rel32', { label: toKernel });
  a.put(0x3d, ...le(P.SERVICE_USER), 0x0f, 0x84).fix('rel32', { label: toUser });
  dispatch(a, 64, 8, frame, { done, recover });
  a.here(toKernel)
    .put(0xc7, ...at(0, frame.cs), ...le(P.KERNEL_CODE), 0xc7, ...at(0, frame.ss), ...le(P.KERNEL_DATA), 0xe9)
    .fix('rel32', { label: done });
  a.here(toUser)
    .put(0xc7, ...at(0, frame.cs), ...le(P.USER_CODE64), 0xc7, ...at(0, frame.ss), ...le(P.USER_DATA), 0xe9)
    .fix('rel32', { label: done });

  // mov eax, [rsp + vector]; quiet; mov rax, [RECOVER]; mov [rsp + rip], rax
  a.here(recover).put(0x8b, ...at(0, frame.vector));
  quiet(a, 64);
  a.put(0x8b, ...absolute(64, 0, P.CONTROL_ALIAS + P.RECOVER), 0x48, 0x89, ...at(0, frame.rip));
  // mov ecx, KERNEL_CODE; mov edx, KERNEL_DATA; test byte [rsp + cs], 3; jz over; mov ecx, USER_CODE64; mov edx, USER_DATA
  a.put(0xb9, ...le(P.KERNEL_CODE), 0xba, ...le(P.KERNEL_DATA), 0xf6, ...at(0, frame.cs), 3, 0x74).fix('rel8', { label: over });
  a.put(0xb9, ...le(P.USER_CODE64), 0xba, ...le(P.USER_DATA)).here(over);
  // mov [rsp + cs], rcx; mov [rsp + ss], rdx; mov qword [rsp + rsp], STACK_TOP; and dword [rsp + flags], ~(NT | DF)
  a.put(0x48, 0x89, ...at(1, frame.cs), 0x48, 0x89, ...at(2, frame.ss), 0x48, 0xc7, ...at(0, frame.rsp), ...le(P.STACK_TOP));
  a.put(0x81, ...at(4, frame.flags), ...le(~0x4400));
  // mov eax, USER_DATA; mov ds, eax; mov es, eax
  a.put(0xb8, ...le(P.USER_DATA), 0x8e, 0xd8, 0x8e, 0xc0);
  a.here(done);
  for (const r of REGISTERS.toReversed()) a.put(...(r > 7 ? [0x41] : []), 0x58 | (r & 7));
  // add rsp, 16; iretq
  a.put(0x48, 0x83, 0xc4, 16, 0x48, 0xcf);
  const [syscall, sysenter] = [a.label(), a.label()];
  // inc dword [SYSCALLS]; sysretq
  a.here(syscall).put(0xff, ...absolute(64, 0, P.SYSCALLS), 0x48, 0x0f, 0x07);
  a.here(sysenter).put(0xff, ...absolute(64, 0, P.SYSCALLS), 0x48, 0x0f, 0x35);
  return finish(a, syscall, sysenter);
}

function common32(entrySize: EntrySize): { bytes: Uint8Array; syscall: number; sysenter: number } {
  const a = new Assembler();
  const done = a.label();
  const recover = a.label();
  // es, ds, PUSHA's eight, vector, error, then the processor's
  const frame = { vector: 40, eip: 48, cs: 52, flags: 56, esp: 60 };
  const at = (register: number, offset: number): number[] => [0x84 | (register << 3), 0x24, ...le(offset)];
  const abs = (reg: number, address: number): number[] => absolute(32, reg, address);
  // add esp by 8, without vector and error: what IRET finds
  const leave = [0x07, 0x1f, 0x61, 0x83, 0xc4, 8];
  // pusha; push ds; push es; mov eax, USER_DATA; mov ds, eax; mov es, eax
  a.put(0x60, 0x1e, 0x06, 0xb8, ...le(P.USER_DATA), 0x8e, 0xd8, 0x8e, 0xc0);
  // cld; mov edi, [LOG_NEXT]; mov esi, esp; movsd, 18 times; mov eax, cr2; stosd; mov eax, dr6; stosd
  a.put(
    0xfc,
    0x8b,
    ...abs(7, P.LOG_NEXT),
    0x89,
    0xe6,
    ...Array.from({ length: 18 }, () => 0xa5),
    0x0f,
    0x20,
    0xd0,
    0xab,
    0x0f,
    0x21,
    0xf0,
    0xab,
  );
  a.put(0x8b, ...abs(0, P.LOG_NEXT), 0x05, ...le(256), 0x25, ...le(~0x1000), 0x89, ...abs(0, P.LOG_NEXT));
  const [toKernel, toUser, inKernel] = [a.label(), a.label(), a.label()];
  a.put(0x8b, ...at(0, frame.vector), 0x3d, ...le(P.SERVICE_KERNEL), 0x0f, 0x84).fix('rel32', { label: toKernel });
  a.put(0x3d, ...le(P.SERVICE_USER), 0x0f, 0x84).fix('rel32', { label: toUser });
  dispatch(a, 32, entrySize, frame, { done, recover });
  // From ring 3 only: the frame goes to the program's stack. mov ecx, [esp + esp]; sub ecx, 12; eip; cs; flags; mov [SCRATCH], ecx
  a.here(toKernel)
    .put(0xf6, ...at(0, frame.cs), 3, 0x0f, 0x84)
    .fix('rel32', { label: done });
  a.put(0x8b, ...at(1, frame.esp), 0x83, 0xe9, 12, 0x8b, ...at(0, frame.eip), 0x89, 0x01, 0xc7, 0x41, 4, ...le(P.KERNEL_CODE));
  a.put(0x8b, ...at(0, frame.flags), 0x89, 0x41, 8, 0x89, ...abs(1, P.SCRATCH));
  // ...; mov esp, cs:[SCRATCH]; iret
  a.put(...leave, 0x2e, 0x8b, ...abs(4, P.SCRATCH), 0xcf);
  // From ring 0 only: mov eax, [eip]; mov [SCRATCH], eax; flags; lea eax, [what the program's ESP was]; mov [SCRATCH + 8], eax
  a.here(toUser)
    .put(0xf6, ...at(0, frame.cs), 3, 0x0f, 0x85)
    .fix('rel32', { label: done });
  a.put(0x8b, ...at(0, frame.eip), 0x89, ...abs(0, P.SCRATCH), 0x8b, ...at(0, frame.flags), 0x89, ...abs(0, P.SCRATCH + 4));
  a.put(0x8d, ...at(0, frame.esp), 0x89, ...abs(0, P.SCRATCH + 8), ...leave);
  // push USER_DATA; push cs:[SCRATCH + 8]; push cs:[SCRATCH + 4]; push USER_CODE32; push cs:[SCRATCH]; iret
  a.put(0x6a, P.USER_DATA, 0x2e, 0xff, ...abs(6, P.SCRATCH + 8), 0x2e, 0xff, ...abs(6, P.SCRATCH + 4), 0x6a, P.USER_CODE32);
  a.put(0x2e, 0xff, ...abs(6, P.SCRATCH), 0xcf);

  a.here(recover).put(0x8b, ...at(0, frame.vector));
  quiet(a, 32);
  // The program's data segments: mov dword [esp], USER_DATA; mov dword [esp + 4], USER_DATA; and dword [esp + flags], ~(NT | DF)
  a.put(0xc7, ...at(0, 0), ...le(P.USER_DATA), 0xc7, ...at(0, 4), ...le(P.USER_DATA), 0x81, ...at(4, frame.flags), ...le(~0x4400));
  // mov eax, [RECOVER]; test byte [esp + cs], 3; jz inKernel
  a.put(0x8b, ...abs(0, P.CONTROL_ALIAS + P.RECOVER), 0xf6, ...at(0, frame.cs), 3, 0x74).fix('rel8', { label: inKernel });
  a.put(0x89, ...at(0, frame.eip), 0xc7, ...at(0, frame.cs), ...le(P.USER_CODE32), 0xc7, ...at(0, frame.esp), ...le(P.STACK_TOP));
  a.put(0xc7, ...at(0, frame.esp + 4), ...le(P.USER_DATA))
    .here(done)
    .put(...leave, 0xcf);
  // mov [STACK_TOP - 12], eax; KERNEL_CODE; flags; mov esp, STACK_TOP - 12
  a.here(inKernel).put(0x89, ...abs(0, P.STACK_TOP - 12), 0xc7, ...abs(0, P.STACK_TOP - 8), ...le(P.KERNEL_CODE));
  a.put(0x8b, ...at(0, frame.flags), 0x89, ...abs(0, P.STACK_TOP - 4), ...leave, 0xbc, ...le(P.STACK_TOP - 12), 0xcf);
  const [syscall, sysenter] = [a.label(), a.label()];
  a.here(syscall)
    .put(0xf4)
    .here(sysenter)
    .put(0xff, ...abs(0, P.SYSCALLS), 0x0f, 0x35);
  return finish(a, syscall, sysenter);
}

function finish(a: Assembler, syscall: number, sysenter: number): { bytes: Uint8Array; syscall: number; sysenter: number } {
  a.step();
  const { bytes, places, labels } = assemble(a.steps)!;
  // Branches are relative: it may lie anywhere.
  const length = places[0]!.length;
  if (length > P.PAGE) throw new Error('the kernel takes more than a page');
  const at = (label: number): number => labels.get(label)! - P.CODE + P.COMMON;
  return { bytes: bytes.slice(0, length), syscall: at(syscall), sysenter: at(sysenter) };
}

/** A descriptor: `access` byte 5, `flags` G, D/B, L, AVL in bits 7..4. */
const descriptor = (base: number, limit: number, access: number, flags: number): number[] => [
  limit & 255, (limit >> 8) & 255, base & 255, (base >> 8) & 255, (base >> 16) & 255, access, flags | ((limit >> 16) & 15), base >>> 24,
]; // prettier-ignore

function gdt(bits: Bits): Piece[] {
  const kernelCode = descriptor(0, 0xfffff, 0x9b, bits === 64 ? 0xa0 : 0xc0);
  const userCode32 = descriptor(0, 0xfffff, 0xfb, 0xc0);
  const data = descriptor(0, 0xfffff, 0xf3, 0xc0);
  const entries: [number, number[]][] = [
    [P.KERNEL_CODE, kernelCode],
    [P.KERNEL_DATA, descriptor(0, 0xfffff, 0x93, 0xc0)],
    [P.USER_CODE32, userCode32],
    [P.USER_DATA, data],
    [P.USER_CODE64, bits === 64 ? descriptor(0, 0xfffff, 0xfb, 0xa0) : userCode32],
    [0x30, data],
    [P.USER_CODE16, descriptor(P.CODE, 0xffff, 0xfb, 0)],
    [P.KERNEL_CODE16, descriptor(P.CODE, 0xffff, 0x9b, 0)],
    [P.SMALL_DATA, descriptor(P.DATA, 0x7ff, 0xf3, 0x40)],
    [P.DOWN_DATA, descriptor(0, P.DATA - 1, 0xf7, 0x40)],
    [P.BASED_DATA, descriptor(P.DATA, 0x1fff, 0xf3, 0x40)],
    [P.STACK16, descriptor(P.STACK, 0xffff, 0xf3, 0)],
    [P.READ_DATA, descriptor(0, 0xfffff, 0xf1, 0xc0)],
    [P.KERNEL_CODE32, descriptor(0, 0xfffff, 0x9b, 0xc0)],
    [P.TASK, descriptor(P.TSS, 0x67, 0x8b, 0)],
  ];
  return entries.map(([selector, bytes]) => ({ at: P.GDT + (selector & ~7), bytes }));
}

export interface Kernel {
  readonly pieces: readonly Piece[];
  /** Entry points. */
  readonly syscall: number;
  readonly sysenter: number;
}

const kernels = new Map<string, Kernel>();

/** All that does not depend on the program, but for page tables. */
export function kernel(bits: Bits, entrySize: EntrySize): Kernel {
  const key = `${bits} ${entrySize}`;
  const known = kernels.get(key);
  if (known) return known;
  const made = build(bits, entrySize);
  kernels.set(key, made);
  return made;
}

function build(bits: Bits, entrySize: EntrySize): Kernel {
  const { bytes, syscall, sysenter } = bits === 64 ? common64() : common32(entrySize);
  const idt: number[] = [];
  for (let vector = 0; vector < 256; vector++) {
    const at = P.STUBS + vector * 16;
    // Interrupt gates, as INT may use them; a double fault in 64-bit mode gets a stack of its own
    if (bits === 64) idt.push(...le((P.KERNEL_CODE << 16) | at), ...le(0xee00 | (vector === 8 ? 1 : 0)), ...le(0), ...le(0));
    else idt.push(...le((P.KERNEL_CODE << 16) | at), ...le(0xee00));
  }
  // RSP0 and IST1, or ESP0 and SS0
  const tss = bits === 64 ? [0, P.KERNEL_STACK, 0, 0, 0, 0, 0, 0, 0, P.KERNEL_STACK - 0x800, 0] : [0, P.KERNEL_STACK, P.KERNEL_DATA];
  const pieces: Piece[] = [
    { at: P.IDT, bytes: idt },
    ...gdt(bits),
    { at: P.TSS, bytes: tss.flatMap((n) => le(n)) },
    { at: P.TSS + 0x64, bytes: le(0x68 << 16) },
    stubs(P.COMMON),
    { at: P.COMMON, bytes },
    { at: P.LOG_NEXT, bytes: le(P.LOG) },
    { at: P.MXCSR_DEFAULT, bytes: le(0x1f80) },
  ];
  return { pieces, syscall, sysenter };
}
