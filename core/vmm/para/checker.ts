/**
 * An independent look at what a paravirtualized guest can reach. It reads machine memory and nothing else: it walks all page tables from where they are in use or pinned, counts
 * what they refer to, and compares with what the VMM keeps of every frame; then it looks into the vCPUs' TLBs. Whatever it says is a hole in the VMM.
 */
import {
  CPU_STRIDE, CPUS, Control, Cpu, OWNER_FREE, OWNER_GUEST, OWNER_SHARED, OWNER_VMM, PARA_GUEST, PARA_SHARED_INFO, PGT_l1_page_table, PGT_l4_page_table, PGT_none,
  PGT_seg_desc_page, PGT_writable_page, PageInfo, Para, ParaVcpu, TLB_DIRECTORIES, TLB_EMPTY, TLB_ENTRIES, TLB_MODES, Tlb, TlbDirectory, TlbEntry,
} from '../../state/index.ts'; // prettier-ignore

/** Of an entry, its low word; and its high one. */
const P = 1;
const RW = 2;
/** Large or global: in tables of higher levels. */
const UPPER_FORBIDDEN = 0x180;
const ADDRESS_HIGH = 0x000fffff;
const RESERVED_FIRST = 256;
const RESERVED_END = 272;

/** Of `TlbEntry.frame`: it translates to a page that may be written and is dirty; it is in a list of entries in use. */
const TLB_WRITABLE = 1 | 8;
const TLB_LISTED = 256 | 512;

/** Findings are not listed without end. */
const MOST = 20;

/** References that the VMM holds beyond those that the checker knows of: frames, by what they are held as (PGT_*; PGT_none: a plain reference). */
export type Held = readonly { readonly frame: number; readonly type: number }[];

const OWNERS: Record<number, string> = {
  [OWNER_VMM]: "the VMM's", [OWNER_GUEST]: "the guest's", [OWNER_FREE]: 'free', [OWNER_SHARED]: 'shared by the VMM',
}; // prettier-ignore

/** What is wrong; empty: nothing is. No vCPU runs meanwhile. */
export function checkFrames(buffer: ArrayBufferLike, held: Held = []): string[] {
  const checker = new Checker(buffer);
  checker.references(held);
  checker.frames();
  checker.translations();
  return checker.findings;
}

/** As if the guest had just flushed its TLBs: what is wrong with these; all that they have is what page tables have. */
export function checkFlushed(buffer: ArrayBufferLike): string[] {
  const checker = new Checker(buffer);
  checker.agreement();
  return checker.findings;
}

class Checker {
  readonly findings: string[] = [];
  readonly #buffer: ArrayBufferLike;
  readonly #words: Uint32Array;
  readonly #infos: DataView;
  readonly #control;
  readonly #para;
  readonly #frames: number;
  readonly #vcpus: number[];
  /** By frame: what refers to it, and how it is referred to. */
  readonly #counts: Uint32Array;
  readonly #typeCounts: Uint32Array;
  /** PGT_* by which references are typed; PGT_none: there is none. */
  readonly #types: Uint8Array;
  /** Tables that have been walked. */
  readonly #walked: Uint8Array;

  constructor(buffer: ArrayBufferLike) {
    this.#buffer = buffer;
    this.#words = new Uint32Array(buffer);
    this.#control = Control.view(buffer, 0);
    this.#para = Para.view(buffer, this.#control.para);
    this.#frames = this.#para.frames;
    this.#infos = new DataView(buffer, this.#para.pages, this.#frames * PageInfo.size);
    this.#vcpus = Array.from({ length: this.#control.vcpus }, (_, i) => CPUS + i * CPU_STRIDE);
    this.#counts = new Uint32Array(this.#frames);
    this.#typeCounts = new Uint32Array(this.#frames);
    this.#types = new Uint8Array(this.#frames);
    this.#walked = new Uint8Array(this.#frames);
  }

  #say(text: string): void {
    if (this.findings.length < MOST) this.findings.push(text);
  }

  #owner(frame: number): number {
    return this.#infos.getUint8(frame * PageInfo.size + PageInfo.offsets.owner);
  }

  #type(frame: number): number {
    return this.#infos.getUint8(frame * PageInfo.size + PageInfo.offsets.type);
  }

  #refer(frame: number, type: number, from: string): void {
    if (frame >= this.#frames) return this.#say(`${from} refers to frame ${frame}, beyond memory`);
    this.#counts[frame]!++;
    if (type === PGT_none) return;
    this.#typeCounts[frame]!++;
    const before = this.#types[frame]!;
    if (before !== PGT_none && before !== type) this.#say(`${from} refers to frame ${frame} as type ${type}, others as type ${before}`);
    this.#types[frame] = type;
  }

  /** All that refers to frames. */
  references(held: Held): void {
    for (const { frame, type } of held) {
      this.#refer(frame, type, 'the VMM');
      if (type >= PGT_l1_page_table && type <= PGT_l4_page_table) this.#walk(frame, type);
    }
    for (const frame of [this.#para.consoleFrame, this.#para.storeFrame]) if (frame !== 0) this.#refer(frame, PGT_writable_page, 'a ring');
    for (const at of this.#vcpus) {
      const vcpu = ParaVcpu.view(this.#buffer, at + Cpu.offsets.para);
      for (const base of [vcpu.kernelCr3, vcpu.userCr3]) if (base !== 0) this.#root(base / 4096, 'CR3');
      if (vcpu.info >>> 12 !== PARA_SHARED_INFO) this.#refer(vcpu.info >>> 12, PGT_writable_page, 'vcpu_info');
      for (let i = 0; i * 512 < vcpu.gdtEntries; i++) this.#refer(vcpu.gdtFrames.get(i), PGT_seg_desc_page, 'the GDT');
    }
    for (let frame = 0; frame < this.#frames; frame++) {
      if (this.#infos.getUint8(frame * PageInfo.size + PageInfo.offsets.pinned)) this.#root(frame, 'a pin', this.#type(frame));
    }
  }

  #root(frame: number, from: string, type = PGT_l4_page_table): void {
    if (type < PGT_l1_page_table || type > PGT_l4_page_table) this.#say(`${from} refers to frame ${frame} as type ${type}`);
    this.#refer(frame, type, from);
    this.#walk(frame, type);
  }

  /** The entries of a table of `level`. */
  #walk(table: number, level: number): void {
    if (table >= this.#frames || this.#walked[table]) return;
    this.#walked[table] = 1;
    const first = (this.#control.ram + table * 4096) >>> 2;
    for (let i = 0; i < 512; i++) {
      const low = this.#words[first + 2 * i]!;
      if (!(low & P)) continue;
      const high = this.#words[first + 2 * i + 1]! & ADDRESS_HIGH;
      const frame = high * 2 ** 20 + (low >>> 12);
      const from = `entry ${i} of frame ${table} (level ${level})`;
      if (level === PGT_l1_page_table) this.#refer(frame, low & RW ? PGT_writable_page : PGT_none, from);
      else {
        if (low & UPPER_FORBIDDEN) this.#say(`${from} is large or global`);
        if (level === PGT_l4_page_table && i >= RESERVED_FIRST && i < RESERVED_END) this.#say(`${from} is the VMM's`);
        this.#refer(frame, level - 1, from);
        this.#walk(frame, level - 1);
      }
    }
  }

  /** What was found against what the VMM keeps. */
  frames(): void {
    const { offsets } = PageInfo;
    let owned = 0;
    for (let frame = 0; frame < this.#frames; frame++) {
      const at = frame * PageInfo.size;
      const owner = this.#owner(frame);
      const type = this.#type(frame);
      const count = this.#infos.getUint32(at + offsets.count, true);
      const typeCount = this.#infos.getUint32(at + offsets.typeCount, true);
      if (owner === OWNER_GUEST) owned++;
      const referred = this.#counts[frame]!;
      if (count !== referred) this.#say(`frame ${frame} has count ${count}, and is referred to ${referred} times`);
      if (typeCount !== this.#typeCounts[frame]) this.#say(`frame ${frame}: count of type ${typeCount}, found ${this.#typeCounts[frame]}`);
      if (typeCount !== 0 && type !== this.#types[frame])
        this.#say(`frame ${frame} has type ${type}, and is used as type ${this.#types[frame]}`);
      if (typeCount === 0 && type !== PGT_none && type !== PGT_writable_page)
        this.#say(`frame ${frame} has type ${type} without a reference`);
      if (referred !== 0 && owner !== OWNER_GUEST && owner !== OWNER_SHARED)
        this.#say(`frame ${frame} is referred to, and is ${OWNERS[owner]}`);
      const table = type !== PGT_none && type !== PGT_writable_page;
      if (table && owner !== OWNER_GUEST) this.#say(`frame ${frame} has type ${type}, and is ${OWNERS[owner]}`);
      if (table && this.#words[(this.#para.busy + frame) >>> 2]! & (0xff << (((this.#para.busy + frame) & 3) * 8)))
        this.#say(`frame ${frame} has type ${type}, and a backend uses it`);
      if (owner !== OWNER_VMM && (frame < PARA_GUEST || frame >= this.#para.m2p) && owner !== OWNER_SHARED)
        this.#say(`frame ${frame} is ${OWNERS[owner]}, and was the VMM's`);
    }
    if (owned !== this.#para.totalPages) this.#say(`the guest has ${owned} frames, and is said to have ${this.#para.totalPages}`);
  }

  /** What the TLBs remember may have been taken out of the tables, but refers to the guest's frames, and to no table for writing. */
  translations(): void {
    for (const [index, at] of this.#vcpus.entries()) {
      const tlb = this.#control.tlbs + index * Tlb.size;
      for (let i = 0; i < TLB_ENTRIES * TLB_MODES; i++) this.#entry(tlb + i * TlbEntry.size, at);
      for (let i = 0; i < TLB_DIRECTORIES; i++) {
        const entry = (tlb + Tlb.offsets.directories + i * TlbDirectory.size) >>> 2;
        // One of an epoch that is over, or none.
        const epoch = this.#words[(tlb + Tlb.offsets.epochs + 4 * (this.#words[entry + 1]! >>> 31)) >>> 2]!;
        if ((this.#words[entry]! & 0x1f_fffd) !== epoch * 4 + 1) continue;
        const table = this.#words[entry + (TlbDirectory.offsets.entry >>> 2)]! >>> 12;
        if (!this.#walked[table] || this.#type(table) !== PGT_l1_page_table)
          this.#say(`a page-directory entry that is remembered refers to frame ${table}`);
      }
    }
  }

  /** Every entry of a TLB against the page tables in use. */
  agreement(): void {
    const { offsets } = TlbEntry;
    for (const [index, at] of this.#vcpus.entries()) {
      const vcpu = ParaVcpu.view(this.#buffer, at + Cpu.offsets.para);
      const tlb = this.#control.tlbs + index * Tlb.size;
      for (const [mode, base] of [vcpu.kernelCr3, vcpu.userCr3].entries())
        for (let i = 0; i < TLB_ENTRIES; i++) {
          const entry = (tlb + (mode * TLB_ENTRIES + i) * TlbEntry.size) >>> 2;
          const frame = this.#words[entry + (offsets.frame >>> 2)]!;
          const low = this.#words[entry + (offsets.readTag >>> 2)]!;
          const page = this.#words[entry + (offsets.readTag >>> 2) + 1]! * 2 ** 32 + low;
          // The machine-to-physical table is in no page table.
          if (!(frame & TLB_LISTED) || low === TLB_EMPTY || frame >>> 12 >= this.#para.m2p) continue;
          const found = this.#translate(base / 4096, page);
          if (found === undefined || found.frame !== frame >>> 12 || ((frame & TLB_WRITABLE) === TLB_WRITABLE && !found.write))
            this.#say(`the TLB of the vCPU at ${at} has frame ${frame >>> 12} at 0x${page.toString(16)}; page tables have ${found?.frame}`);
        }
    }
  }

  /** By the table of level 4 in frame `table`: the frame at a linear address (a double: of a page it is exact), if there is one, and whether it may be written. */
  #translate(table: number, page: number): { frame: number; write: boolean } | undefined {
    let frame = table;
    let write = true;
    if (table === 0) return undefined;
    for (let shift = 27; shift >= 0; shift -= 9) {
      const index = Math.floor(page / 2 ** (12 + shift)) % 512;
      const at = (this.#control.ram + frame * 4096 + index * 8) >>> 2;
      const low = this.#words[at]!;
      if (!(low & P)) return undefined;
      write &&= (low & RW) !== 0;
      frame = (this.#words[at + 1]! & ADDRESS_HIGH) * 2 ** 20 + (low >>> 12);
    }
    return { frame, write };
  }

  #entry(at: number, cpu: number): void {
    const { offsets } = TlbEntry;
    const frame = this.#words[(at + offsets.frame) >>> 2]!;
    if (!(frame & TLB_LISTED)) return;
    const open = (tag: number): boolean => this.#words[(at + tag) >>> 2] !== TLB_EMPTY;
    const number = frame >>> 12;
    const write = open(offsets.writeTag) || (open(offsets.readTag) && (frame & TLB_WRITABLE) === TLB_WRITABLE);
    if (!write && !open(offsets.readTag) && !open(offsets.execTag)) return;
    const owner = this.#owner(number);
    const isM2p = number >= this.#para.m2p && number < this.#para.m2p + this.#para.m2pFrames;
    if (owner !== OWNER_GUEST && owner !== OWNER_SHARED && !(isM2p && !write))
      this.#say(`the TLB of the vCPU at ${cpu} has frame ${number}, which is ${OWNERS[owner]}`);
    if (write && this.#type(number) !== PGT_writable_page)
      this.#say(`the TLB of the vCPU at ${cpu} may write to frame ${number}, which has type ${this.#type(number)}`);
    const addend = this.#words[(at + offsets.addend) >>> 2]!;
    const page = this.#words[(at + (open(offsets.readTag) ? offsets.readTag : offsets.execTag)) >>> 2]!;
    if (((page + addend) | 0) !== ((this.#control.ram + number * 4096) | 0))
      this.#say(`the TLB of the vCPU at ${cpu} has an address beside frame ${number}`);
  }
}
