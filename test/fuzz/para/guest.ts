/** A paravirtualized VM whose kernel does one hypercall after another, each as it is told: SYSCALL on a page of its own, on the board that every such VM has. */
import { ManualClock } from '../../../core/bus/clock.ts';
import { attachMachine } from '../../../core/machine/create.ts';
import { ParaMemory } from '../../../core/machine/para-fixture.ts';
import { ParaBoard } from '../../../core/machine/para.ts';
import {
  CPUS, Cpu, DS, ES, EVENT_KICK, EXIT_HALT, EXIT_SHUTDOWN, FLAT_RING3_CS64, FLAT_RING3_DS32, FS, GS, PAGE, PARA_GRANTS, PARA_GRANT_FRAMES, PARA_GUEST,
  PARA_KERNEL, PARA_SHARED_INFO, PGT_none, PGT_writable_page, PageInfo, SS,
} from '../../../core/state/index.ts'; // prettier-ignore

/** Instructions that a hypercall may go on for: each time that it is preempted it is one more. */
const PATIENCE = 12;
/** A hypercall that takes longer has hung: milliseconds. */
export const HUNG = 3000;

const RAX = 0;
const RSP = 4;
/** Registers of the arguments. */
const ARGUMENTS = [7, 6, 2, 10, 8, 9];

const hash = (words: Uint32Array): number => words.reduce((sum, word) => (Math.imul(sum, 0x01000193) ^ word) >>> 0, 0x811c9dc5);

export class FuzzGuest {
  readonly m: ParaMemory;
  readonly board: ParaBoard;
  readonly clock = new ManualClock();
  /** Frames of the guest: where its code is, its stack, and the first of those with arguments. */
  readonly code: number;
  readonly scratch: number;
  /** Why it is over; undefined: it goes on. */
  ended: string | undefined;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #before: number;
  /** Parts of machine memory as they were when the kernel began. */
  readonly #start: readonly { readonly from: number; readonly bytes: Uint8Array }[];

  constructor() {
    let board: ParaBoard | undefined;
    this.m = new ParaMemory(2, 1, (memory) => {
      const ended = (why: string) => () => (this.ended = why);
      return (board = new ParaBoard(memory, {
        clock: this.clock,
        rtcStart: 0,
        disks: [],
        open: () => {
          throw new Error('there are no disks');
        },
        notify: { serialOutput: () => {}, powerOff: ended('off'), reset: ended('reset'), shutdown: ended('shut down'), note: () => {} },
        invalidate: (page, first, last) => this.m.engine.helpers.invalidateCode(page, first, last),
      }));
    });
    const { m } = this;
    this.board = board!;
    this.board.connect(m.engine.helpers);
    this.#view = new DataView(m.buffer);
    this.#words = new Uint32Array(m.buffer);
    this.code = m.free + 100;
    this.scratch = m.free + 102;
    m.para.storeFrame = m.free + 98;
    m.para.consoleFrame = m.free + 99;
    // SYSCALL; JMP to itself.
    m.entry(this.code, 0, 0xfeeb_050fn);
    if (m.call('paraStart') !== 0) throw new Error('the first page tables are refused');
    const { tlbs, devices, devicesEnd, para, ramSize } = attachMachine(m.memory).layout;
    this.#start = [[0, tlbs] as const, [devices, devicesEnd] as const, [para, m.ram + ramSize] as const].map(([from, to]) => ({
      from,
      bytes: new Uint8Array(m.buffer).slice(from, to),
    }));
    this.board.reset();
    this.#before = this.#vmm();
  }

  /** The VM as it was at first. */
  again(): void {
    const { helpers } = this.m.engine;
    helpers.forgetCode();
    helpers.resetTlb(CPUS);
    for (const { from, bytes } of this.#start) new Uint8Array(this.m.buffer).set(bytes, from);
    helpers.forgetCode();
    this.clock.time = 0;
    this.ended = undefined;
    this.board.reset();
  }

  /** A linear address at which the kernel has what it is told. */
  at(offset: number): bigint {
    return this.m.at(this.scratch, offset);
  }
  /** The kernel stores 8 bytes in a frame of its own, as it could while that is no table. */
  word(frame: number, offset: number, value: bigint): void {
    const type = this.#view.getUint8(this.m.para.pages + (frame + (offset >> 12)) * PageInfo.size + PageInfo.offsets.type);
    if (type !== PGT_none && type !== PGT_writable_page) return;
    this.#view.setBigUint64(this.m.ram + frame * PAGE + offset, BigInt.asUintN(64, value), true);
  }

  /** The vCPU as a kernel has it before a hypercall, whatever the last one did. */
  #begin(): void {
    const { cpu, engine } = this.m;
    const { segments, para } = cpu;
    Object.assign(cpu, {
      cpl: 3,
      eflags: 0x202,
      halted: 0,
      faultPending: 0,
      interruptShadow: 0,
      stepping: 0,
      current: 0,
      chain: 0,
      event: 0,
      pendingDebug: 0,
    });
    cpu.dr.set(7, 0x400);
    para.mode = PARA_KERNEL;
    cpu.cr3 = para.kernelCr3;
    Object.assign(segments[1]!, { base: 0, limit: 0xffff_ffff, attributes: 0xa0fb, selector: FLAT_RING3_CS64 });
    for (const s of [SS, DS, ES, FS, GS])
      Object.assign(segments[s]!, { base: 0, limit: 0xffff_ffff, attributes: 0xc0f3, selector: FLAT_RING3_DS32 });
    engine.helpers.updateReach(CPUS);
    engine.helpers.updateTlbMode(CPUS);
  }

  /** One hypercall. What it came to; undefined: it did not come back, or has not yet. Throws what no guest may make the VMM throw. */
  call(number: number, args: readonly bigint[]): bigint | undefined {
    const { cpu, engine } = this.m;
    const register = (n: number, value: bigint): void =>
      this.#view.setBigUint64(cpu.address + Cpu.offsets.gpr + 8 * n, BigInt.asUintN(64, value), true);
    this.#begin();
    args.forEach((value, i) => register(ARGUMENTS[i]!, value));
    register(RAX, BigInt(number));
    register(RSP, this.m.at(this.code + 2));
    this.#view.setBigUint64(cpu.address + Cpu.offsets.rip, this.m.at(this.code), true);
    const began = performance.now();
    let exit = engine.run(CPUS, PATIENCE);
    for (let i = 0; exit === EXIT_HALT && i < 2; i++) {
      // As if an event came.
      this.clock.advance(20_000_000);
      this.board.advance(this.clock.now());
      cpu.halted = 0;
      exit = engine.run(CPUS, 2);
    }
    this.clock.advance(100_000);
    this.board.advance(this.clock.now());
    const took = performance.now() - began;
    if (took > HUNG) throw new Error(`it took ${took.toFixed(0)} ms`);
    if (exit === EXIT_SHUTDOWN) this.ended ??= `crash ${this.m.para.crash}, shutdown ${cpu.shutdown}`;
    cpu.event &= ~EVENT_KICK;
    const rip = this.#view.getBigUint64(cpu.address + Cpu.offsets.rip, true);
    return rip === this.m.at(this.code, 2) ? this.#view.getBigInt64(cpu.address + Cpu.offsets.gpr + 8 * RAX, true) : undefined;
  }

  /** What is the VMM's and does not change: its frames, and what the machine says of itself. */
  #vmm(): number {
    const { m } = this;
    const first = m.ram >>> 2;
    const frames = (from: number, to: number): number => hash(this.#words.subarray(first + from * 1024, first + to * 1024));
    // Of the machine-to-physical table the guest sets its own frames' entries.
    const table = first + m.para.m2p * 1024;
    const { frames: all, pages, guestFrames, m2p, m2pFrames, maxPages, busy } = m.para;
    return hash(
      Uint32Array.of(
        frames(0, PARA_SHARED_INFO),
        frames(PARA_SHARED_INFO + 1, PARA_GRANTS),
        frames(PARA_GRANTS + PARA_GRANT_FRAMES, PARA_GUEST),
        hash(this.#words.subarray(table, table + 2 * PARA_GUEST)),
        hash(this.#words.subarray(table + 2 * m2p, table + 2 * all)),
        all, pages, guestFrames, m2p, m2pFrames, maxPages, busy,
      ),
    ); // prettier-ignore
  }

  check(): string[] {
    const findings = this.m.check();
    if (this.#vmm() !== this.#before) findings.push("the VMM's own memory has changed");
    return findings;
  }
}
