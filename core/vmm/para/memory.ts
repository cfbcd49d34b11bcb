/** memory_op (memory.h): what memory the guest has, and giving some of it back or getting more (ballooning). */
import { CPUS, Control, Cpu, MACH2PHYS_VIRT_ALIAS, PAGE, PARA_BATCHING, PARA_SHARED_INFO, Para, ParaVcpu } from '../../state/index.ts';
import type { Arguments, Service } from './call.ts';
import { EACCES, EINVAL, ENOMEM, ENOSYS, EPERM, ESRCH, Refusal, refuse } from './errno.ts';
import type { Frames } from './frames.ts';
import type { GuestMemory } from './guest-memory.ts';
import { DOMID_BACKEND, DOMID_GUEST, DOMID_SELF, SHARED_INFO } from './shared.ts';

const INCREASE_RESERVATION = 0;
const DECREASE_RESERVATION = 1;
const MAXIMUM_RAM_PAGE = 2;
const CURRENT_RESERVATION = 3;
const MAXIMUM_RESERVATION = 4;
const MACHPHYS_MFN_LIST = 5;
const POPULATE_PHYSMAP = 6;
const ADD_TO_PHYSMAP = 7;
const MEMORY_MAP = 9;
const MACHINE_MEMORY_MAP = 10;
const EXCHANGE = 11;
const MACHPHYS_MAPPING = 12;
const SET_MEMORY_MAP = 13;
const MAXIMUM_GPFN = 14;
const REMOVE_FROM_PHYSMAP = 15;
const SET_POD_TARGET = 16;
const GET_POD_TARGET = 17;
const ADD_TO_PHYSMAP_BATCH = 23;
const CLAIM_PAGES = 24;

/** The command is in the lower bits; above them stands how many extents are done, when the call goes on. */
const COMMAND_BITS = 6;
/** Extents that are done before the guest may be interrupted. */
const PORTION = 512;
/** As `ParaVcpu.result`: the call is to be made again, with the arguments as they are now. */
export const PREEMPTED = 0x1_0000_0000;

const E820_RAM = 1;
const E820_ENTRY = 20;
const RESERVATION = 32;
const LARGEST_ORDER = 9;

interface Reservation {
  readonly list: bigint;
  readonly extents: number;
  readonly order: number;
  readonly domain: number;
}

function reservation(data: DataView, at: number): Reservation {
  return {
    list: data.getBigUint64(at, true),
    extents: Number(data.getBigUint64(at + 8, true)),
    order: data.getUint32(at + 16, true),
    domain: data.getUint16(at + 24, true),
  };
}

const isSelf = (domain: number): boolean => domain === DOMID_SELF || domain === DOMID_GUEST;

function checkSelf(domain: number): void {
  if (!isSelf(domain)) refuse(domain === DOMID_BACKEND ? EPERM : ESRCH);
}

export function memoryCalls(buffer: ArrayBufferLike, frames: Frames, memory: GuestMemory): Service {
  const control = Control.view(buffer, 0);
  const para = Para.view(buffer, control.para);
  const args = new BigUint64Array(buffer, CPUS + Cpu.offsets.para + ParaVcpu.offsets.args, 6);
  const data = new DataView(buffer);
  const portion = (para.switches & PARA_BATCHING) !== 0 ? PORTION : 1;

  const entry = (list: bigint, index: number): bigint => memory.readU64(list + 8n * BigInt(index));

  /** One extent: whether it was done. */
  const perform = (command: number, { list, order }: Reservation, index: number): boolean => {
    if (command === DECREASE_RESERVATION) {
      const first = Number(entry(list, index));
      for (let i = 0; i < 2 ** order; i++) if (frames.release(first + i) !== 0) return false;
      return true;
    }
    // Frames that follow each other are not kept in store.
    if (order !== 0) return false;
    const at = list + 8n * BigInt(index);
    const pseudoPhysical = command === POPULATE_PHYSMAP ? entry(list, index) : undefined;
    if ((command === POPULATE_PHYSMAP || list !== 0n) && !memory.accessible(at, 8, true)) return false;
    const frame = frames.allocate();
    if (frame === undefined) return false;
    if (pseudoPhysical !== undefined) frames.setPseudoPhysical(frame, pseudoPhysical);
    if (list !== 0n) memory.writeU64(at, BigInt(frame));
    return true;
  };

  /** Returns how many extents were done: a mistake ends it. */
  const change = (command: number, call: Arguments): number => {
    let done = call.u32(0) >>> COMMAND_BITS;
    try {
      const asked = reservation(memory.read(call.pointer(1), RESERVATION), 0);
      if (!isSelf(asked.domain) || asked.order > LARGEST_ORDER || done > asked.extents) return done;
      const end = Math.min(asked.extents, done + portion);
      while (done < end) {
        if (!perform(command, asked, done)) return done;
        done++;
      }
      if (done === asked.extents) return done;
      args[0] = BigInt(command) | (BigInt(done) << BigInt(COMMAND_BITS));
      return PREEMPTED;
    } catch (error) {
      if (error instanceof Refusal) return done;
      throw error;
    }
  };

  const exchange = (at: bigint): number => {
    const asked = memory.read(at, 2 * RESERVATION + 8);
    const given = reservation(asked, 0);
    const wanted = reservation(asked, RESERVATION);
    let done = Number(asked.getBigUint64(2 * RESERVATION, true));
    checkSelf(given.domain);
    if (given.domain !== wanted.domain || given.order > LARGEST_ORDER || wanted.order > LARGEST_ORDER) refuse(EINVAL);
    if (given.extents * 2 ** given.order !== wanted.extents * 2 ** wanted.order || done > given.extents) refuse(EINVAL);
    if (given.order !== 0 || wanted.order !== 0) refuse(ENOMEM);
    const end = Math.min(given.extents, done + portion);
    let result = 0;
    try {
      while (done < end && result === 0) result = exchangeOne(given.list, wanted.list, done++);
      if (result !== 0) done--;
    } finally {
      memory.writeU64(at + BigInt(2 * RESERVATION), BigInt(done));
    }
    return result === 0 && done < given.extents ? PREEMPTED : result;
  };

  const exchangeOne = (given: bigint, wanted: bigint, index: number): number => {
    const old = Number(entry(given, index));
    const pseudoPhysical = entry(wanted, index);
    if (!memory.accessible(wanted + 8n * BigInt(index), 8, true)) return -EINVAL;
    const released = frames.release(old);
    if (released !== 0) return released;
    const frame = frames.allocate();
    if (frame === undefined) return -ENOMEM;
    frames.setPseudoPhysical(frame, pseudoPhysical);
    memory.writeU64(wanted + 8n * BigInt(index), BigInt(frame));
    return 0;
  };

  /** The pseudo-physical memory as the domain began: all RAM. */
  const memoryMap = (at: bigint): number => {
    const asked = memory.read(at, 16);
    const buffer = asked.getBigUint64(8, true);
    const count = Math.min(1, asked.getUint32(0, true));
    if (count > 0) {
      const map = new DataView(new ArrayBuffer(E820_ENTRY));
      map.setBigUint64(8, BigInt(para.guestFrames * PAGE), true);
      map.setUint32(16, E820_RAM, true);
      memory.write(buffer, map);
    }
    memory.writeU32(at, count);
    return 0;
  };

  const mapping = (at: bigint): number => {
    const answer = new DataView(new ArrayBuffer(24));
    answer.setBigUint64(0, MACH2PHYS_VIRT_ALIAS, true);
    answer.setBigUint64(8, MACH2PHYS_VIRT_ALIAS + BigInt(para.m2pFrames * PAGE), true);
    answer.setBigUint64(16, BigInt(para.frames - 1), true);
    memory.write(at, answer);
    return 0;
  };

  /** Where the table's extents of 2 MiB begin. */
  const tableFrames = (at: bigint): number => {
    const asked = memory.read(at, 24);
    const list = asked.getBigUint64(8, true);
    const count = Math.min(asked.getUint32(0, true), Math.ceil(para.m2pFrames / 512));
    for (let i = 0; i < count; i++) memory.writeU64(list + 8n * BigInt(i), BigInt(para.m2p + 512 * i));
    memory.writeU32(at + 16n, count);
    return 0;
  };

  return (call) => {
    const command = call.u32(0) & (2 ** COMMAND_BITS - 1);
    const at = call.pointer(1);
    switch (command) {
      case INCREASE_RESERVATION:
      case DECREASE_RESERVATION:
      case POPULATE_PHYSMAP:
        return change(command, call);
      case EXCHANGE:
        return exchange(at);
      case MAXIMUM_RAM_PAGE:
        return para.frames - 1;
      case CURRENT_RESERVATION:
      case MAXIMUM_RESERVATION:
      case MAXIMUM_GPFN: {
        checkSelf(memory.read(at, 2).getUint16(0, true));
        if (command === CURRENT_RESERVATION) return para.totalPages;
        if (command === MAXIMUM_RESERVATION) return para.maxPages;
        const most = data.getUint32(control.ram + PARA_SHARED_INFO * PAGE + SHARED_INFO.maxPfn, true);
        return Math.max(most, 1) - 1;
      }
      case MACHPHYS_MFN_LIST:
        return tableFrames(at);
      case MACHPHYS_MAPPING:
        return mapping(at);
      case MEMORY_MAP:
        return memoryMap(at);
      case ADD_TO_PHYSMAP:
      case ADD_TO_PHYSMAP_BATCH:
      case REMOVE_FROM_PHYSMAP:
        // Of domains whose physical addresses are translated.
        return refuse(EACCES);
      case MACHINE_MEMORY_MAP:
      case SET_MEMORY_MAP:
      case SET_POD_TARGET:
      case GET_POD_TARGET:
      case CLAIM_PAGES:
        return refuse(EPERM);
      default:
        return refuse(ENOSYS);
    }
  };
}
