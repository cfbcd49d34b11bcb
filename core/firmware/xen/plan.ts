/**
 * Where things are at the start of day (Xen's public header xen.h, "Start-of-day memory layout"), in the guest's frames: the kernel at its own place, then start
 * information, the frames of xenstore and console, page tables, a stack; all of this is mapped from the kernel's virtual base on. Then comes what is
 * not: the initrd, the list of machine frames with page tables of its own.
 */
import { PAGE, PARA_GUEST } from '../../state/index.ts';
import { FirmwareError } from '../error.ts';
import { mib } from '../target.ts';

/** Frames and numbers of frames. */
export interface Plan {
  readonly startInfo: number;
  readonly store: number;
  readonly console: number;
  readonly tables: number;
  readonly tableCount: number;
  readonly stack: number;
  /** Frames from 0 that are mapped at the virtual base. */
  readonly mapped: number;
  readonly module: number;
  readonly list: number;
  readonly listCount: number;
  /** Page tables of the list, where it is not mapped with the kernel: they follow it. */
  readonly listTableCount: number;
  /** The list's virtual address. */
  readonly listAddress: bigint;
}

export interface PlanRequest {
  readonly name: string;
  readonly frames: number;
  /** The first frame after the kernel. */
  readonly kernelEnd: number;
  readonly virtualBase: bigint;
  /** The list's virtual address; absent: with the kernel. */
  readonly p2m: bigint | undefined;
  readonly moduleBytes: number;
  /** The initrd is not mapped. */
  readonly moduleByFrame: boolean;
}

const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE);
export const frameAddress = (frame: number): bigint => BigInt(frame) * BigInt(PAGE);

/** What a table of each level below the top covers, in bits of the address: by `level - 1`. */
export const TABLE_SHIFTS = [21n, 30n, 39n] as const;

/** Names of the page tables (but for the top one) that map so many pages at an address: level and number. */
export function* tablesOf(address: bigint, pages: number): Generator<string> {
  if (pages === 0) return;
  const last = address + frameAddress(pages) - 1n;
  for (const [i, shift] of TABLE_SHIFTS.entries()) for (let n = address >> shift; n <= last >> shift; n++) yield `${i + 1}:${n}`;
}

/** 512 KiB of room are mapped at least after what is there, and up to a multiple of 4 MiB. */
const ROOM = (512 << 10) / PAGE;
const MAPPED_ALIGN = 4n << 20n;

/** Throws a FirmwareError if there is not memory enough. */
export function makePlan({ name, frames, kernelEnd, virtualBase, p2m, moduleBytes, moduleByFrame }: PlanRequest): Plan {
  const moduleCount = pagesOf(moduleBytes);
  const enough = (needed: number): void => {
    if (needed <= frames) return;
    const what = moduleCount > 0 ? `${name} and its initrd need` : `${name} needs`;
    throw new FirmwareError(
      `${what} ${mib(needed * PAGE)} of memory to start, and the machine has ${mib(frames * PAGE)}: give it more memory`,
    );
  };
  enough(kernelEnd + moduleCount);

  let next = kernelEnd;
  const take = (count: number): number => {
    const first = next;
    next += count;
    return first;
  };
  const listCount = pagesOf(frames * 8);
  let module = moduleByFrame ? 0 : take(moduleCount);
  let list = p2m === undefined ? take(listCount) : 0;
  const startInfo = take(1);
  const store = take(1);
  const console = take(1);
  const tables = next;
  // The tables map themselves: the more there are, the more there is to map.
  let tableCount = 1;
  let stack: number;
  let mapped: number;
  let names: Set<string>;
  for (;;) {
    stack = tables + tableCount;
    const end = virtualBase + frameAddress(stack + 1 + ROOM);
    mapped = Number(((end + MAPPED_ALIGN - 1n) / MAPPED_ALIGN) * MAPPED_ALIGN - virtualBase) / PAGE;
    names = new Set(tablesOf(virtualBase, mapped));
    if (names.size + 1 <= tableCount) break;
    tableCount = names.size + 1;
  }
  next = mapped;
  if (moduleByFrame) module = take(moduleCount);
  let listTableCount = 0;
  if (p2m !== undefined) {
    for (const table of tablesOf(p2m, listCount)) if (!names.has(table)) listTableCount++;
    list = take(listCount);
    take(listTableCount);
  }
  enough(next);
  const listAddress = p2m ?? virtualBase + frameAddress(list);
  return { startInfo, store, console, tables, tableCount, stack, mapped, module, list, listCount, listTableCount, listAddress };
}

/** The machine frame that is the guest's frame at the start. */
export const machineFrame = (frame: number): number => PARA_GUEST + frame;
