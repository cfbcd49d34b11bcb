/** Starts a kernel that knows Xen's 64-bit PV interface: leaves the machine as the interface says it is at the start of day (xen.h, arch-x86/xen.h). */
import type { GuestMemory } from '../../bus/device.ts';
import {
  Control, Cpu, FLAT_RING3_DS32, HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START, OWNER_GUEST, OWNER_SHARED, PAGE, PARA_CONSOLE_PORT,
  PARA_SHARED_INFO, PARA_STORE_PORT, PageInfo, Para, ParaVcpu,
} from '../../state/index.ts'; // prettier-ignore
import { type Segment, readElf } from '../elf.ts';
import { FirmwareError } from '../error.ts';
import { RSI, RSP, cpuAt } from '../state.ts';
import { type BootRequest, type BootTarget, commandLineBytes } from '../target.ts';
import { hypercallPage } from './hypercall-page.ts';
import { type XenNotes, xenNotes } from './notes.ts';
import { kernelProper } from './payload.ts';
import { type Plan, frameAddress, machineFrame, makePlan } from './plan.ts';
import { PageTables } from './tables.ts';

/** What a start of day needs of the machine. `memory` is by machine address. */
export interface XenTarget extends Pick<BootTarget, 'buffer' | 'memory' | 'vcpus'> {
  /** Puts a vCPU into the state in which every kernel finds it: kernel mode, flat selectors, control registers. */
  reset(index: number): void;
}

const MAX_GUEST_CMDLINE = 1024;
/** sizeof(struct vcpu_info), and how many of them shared_info has. */
const VCPU_INFO = 64;
const LEGACY_MAX_VCPUS = 32;
const UPCALL_MASK = 1;
/** start_info.flags */
const SIF_MOD_START_PFN = 1 << 3;
const SIF_VIRT_P2M_4TOOLS = 1 << 4;
const INVALID_M2P_ENTRY = 0xffff_ffff_ffff_ffffn;

/**
 * Puts the kernel and what it finds at its start into RAM, and sets the vCPUs' registers. Machine memory must have been made for
 * the technique, and its RAM be zeros. Throws a FirmwareError if what the user gave cannot be started so.
 */
export function bootXen(target: XenTarget, request: BootRequest): void {
  const { initrd } = request;
  const { name } = request.kernel;
  if (request.kernel.data.length === 0) throw new FirmwareError(`${name} is empty`);
  if (request.modules?.length) throw new FirmwareError(`${name} is started paravirtualized, with an initrd and no modules`);
  if (request.entry) throw new FirmwareError(`${name} is started paravirtualized: that is in 64-bit mode, and cannot be chosen`);
  if (initrd?.data.length === 0) throw new FirmwareError(`${initrd.name} is empty`);
  const line = commandLineBytes(request.commandLine);
  if (line.length >= MAX_GUEST_CMDLINE)
    throw new FirmwareError(`the command line has ${line.length} bytes; a paravirtualized kernel takes at most ${MAX_GUEST_CMDLINE - 1}`);

  const kernel = kernelProper(request.kernel);
  const elf = readElf(kernel);
  if (elf.bits !== 64) throw new FirmwareError(`${name} is a 32-bit kernel; only 64-bit ones can be paravirtualized here`);
  const notes = xenNotes(name, elf);
  const segments = elf.segments.map((s) => ({ ...s, physical: s.physical - Number(notes.physicalOffset) }));
  const kernelEnd = checkKernel(name, notes, segments);

  const domain = Para.view(target.buffer, Control.view(target.buffer, 0).para);
  const plan = makePlan({
    name,
    frames: domain.guestFrames,
    kernelEnd,
    virtualBase: notes.virtualBase,
    p2m: notes.p2m,
    moduleBytes: initrd?.data.length ?? 0,
    moduleByFrame: notes.moduleByFrame,
  });

  claimFrames(target, domain);
  const { memory } = target;
  const guest = (frame: number): number => machineFrame(frame) * PAGE;
  for (const { physical, bytes } of segments) writeSparsely(memory, guest(0) + physical, bytes);
  if (notes.hypercallPage !== undefined) memory.write(guest(0) + Number(notes.hypercallPage - notes.virtualBase), hypercallPage());
  if (initrd) memory.write(guest(plan.module), initrd.data);
  for (let frame = 0; frame < domain.guestFrames; frame++) memory.write64(guest(plan.list) + 8 * frame, machineFrame(frame));
  writeTables(memory, plan, notes);
  writeStartInfo(memory, plan, notes, domain.guestFrames, initrd?.data.length ?? 0, line);
  domain.consoleFrame = machineFrame(plan.console);
  domain.storeFrame = machineFrame(plan.store);
  for (let i = 0; i < target.vcpus; i++) enter(target, i, plan, notes);
}

/** Checks places that the kernel asks for; returns the first frame after it. */
function checkKernel(name: string, { entry, hypercallPage: page, virtualBase, p2m }: XenNotes, segments: readonly Segment[]): number {
  const end = Math.max(...segments.map((s) => s.physical + s.memorySize));
  const bad = (what: string): never => {
    throw new FirmwareError(`${name} is damaged: ${what}`);
  };
  if (!segments.every((s) => s.physical >= 0 && s.physical + s.memorySize <= Number.MAX_SAFE_INTEGER))
    bad('a segment has no place in memory');
  const inside = (address: bigint, length: bigint): boolean => address >= virtualBase && address + length <= virtualBase + BigInt(end);
  if (virtualBase % BigInt(PAGE) !== 0n || !usable(virtualBase, BigInt(end))) bad('its virtual base is no address for a kernel');
  if (!inside(entry, 1n)) bad('its entry is not in it');
  if (page !== undefined && (page % BigInt(PAGE) !== 0n || !inside(page, BigInt(PAGE)))) bad('its hypercall page is not in it');
  if (p2m !== undefined && (p2m % BigInt(PAGE) !== 0n || !usable(p2m, 1n << 30n))) bad('its list of frames is wanted at no address');
  return Math.ceil(end / PAGE);
}

/** Canonical, and the guest's. */
function usable(address: bigint, length: bigint): boolean {
  const end = address + length;
  const low = end <= 1n << 47n;
  const high = address >= HYPERVISOR_VIRT_END && end <= 1n << 64n;
  return low || high || (address >= 0xffff_8000_0000_0000n && end <= HYPERVISOR_VIRT_START);
}

/** Owners of all frames, and the machine-to-physical table. */
function claimFrames({ buffer, memory }: XenTarget, domain: ReturnType<typeof Para.view>): void {
  const { pages, frames, guestFrames, m2p } = domain;
  domain.totalPages = domain.maxPages = guestFrames;
  const infos = new Uint8Array(buffer, pages, frames * PageInfo.size).fill(0);
  const own = (frame: number, owner: number): void => void (infos[frame * PageInfo.size + PageInfo.offsets.owner] = owner);
  for (let frame = 0; frame < guestFrames; frame++) own(machineFrame(frame), OWNER_GUEST);
  own(PARA_SHARED_INFO, OWNER_SHARED);

  const table = new BigUint64Array(frames).fill(INVALID_M2P_ENTRY);
  for (let frame = 0; frame < guestFrames; frame++) table[machineFrame(frame)] = BigInt(frame);
  memory.write(m2p * PAGE, new Uint8Array(table.buffer));

  const shared = new Uint8Array(PAGE);
  for (let i = 0; i < LEGACY_MAX_VCPUS; i++) shared[i * VCPU_INFO + UPCALL_MASK] = 1;
  memory.write(PARA_SHARED_INFO * PAGE, shared);
}

/** The RAM is zeros: pages of zeros need not be written, and take no memory of the host then. */
function writeSparsely(memory: GuestMemory, address: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + PAGE - ((address + at) % PAGE));
    const page = bytes.subarray(at, end);
    if (page.some((byte) => byte !== 0)) memory.write(address + at, page);
    at = end;
  }
}

function writeTables(memory: GuestMemory, plan: Plan, { virtualBase, p2m }: XenNotes): void {
  let next = plan.tables;
  const tables = new PageTables(memory, () => next++);
  const tablesEnd = plan.tables + plan.tableCount;
  for (let frame = 0; frame < plan.mapped; frame++)
    tables.map(virtualBase + frameAddress(frame), frame, frame < plan.tables || frame >= tablesEnd);
  if (p2m === undefined) return;
  next = plan.list + plan.listCount;
  for (let i = 0; i < plan.listCount; i++) tables.map(p2m + frameAddress(i), plan.list + i, true);
}

/** struct start_info */
function writeStartInfo(memory: GuestMemory, plan: Plan, notes: XenNotes, frames: number, moduleBytes: number, line: Uint8Array): void {
  const page = new Uint8Array(PAGE);
  const v = new DataView(page.buffer);
  const address = (frame: number): bigint => BigInt.asUintN(64, notes.virtualBase + frameAddress(frame));
  const word = (at: number, value: number | bigint): void => v.setBigUint64(at, BigInt(value), true);
  page.set(new TextEncoder().encode('xen-3.0-x86_64'));
  word(32, frames);
  word(40, PARA_SHARED_INFO * PAGE);
  v.setUint32(48, (moduleBytes > 0 && notes.moduleByFrame ? SIF_MOD_START_PFN : 0) | SIF_VIRT_P2M_4TOOLS, true);
  word(56, machineFrame(plan.store));
  v.setUint32(64, PARA_STORE_PORT, true);
  word(72, machineFrame(plan.console));
  v.setUint32(80, PARA_CONSOLE_PORT, true);
  word(88, address(plan.tables));
  word(96, plan.tableCount);
  word(104, plan.listAddress);
  if (moduleBytes > 0) word(112, notes.moduleByFrame ? plan.module : address(plan.module));
  word(120, moduleBytes);
  page.set(line, 128);
  if (notes.p2m !== undefined) {
    word(1152, plan.list);
    word(1160, plan.listCount + plan.listTableCount);
  }
  memory.write(machineFrame(plan.startInfo) * PAGE, page);
}

/** The first vCPU is at the entry; the others wait for VCPUOP_up. */
function enter(target: XenTarget, index: number, plan: Plan, { entry, virtualBase }: XenNotes): void {
  target.reset(index);
  const cpu = cpuAt(target.buffer, index);
  const address = (frame: number): bigint => BigInt.asUintN(64, virtualBase + frameAddress(frame));
  const data = new DataView(target.buffer, cpu.address, Cpu.size);
  const word = (offset: number, value: bigint): void => data.setBigUint64(offset, value, true);
  const para = Cpu.offsets.para;
  if (index < LEGACY_MAX_VCPUS) cpu.para.info = PARA_SHARED_INFO * PAGE + index * VCPU_INFO;
  cpu.halted = index === 0 ? 0 : 1;
  if (index > 0) return;
  const stack = address(plan.stack + 1);
  word(Cpu.offsets.rip, entry);
  word(Cpu.offsets.gpr + 8 * RSP, stack);
  word(Cpu.offsets.gpr + 8 * RSI, address(plan.startInfo));
  word(para + ParaVcpu.offsets.kernelSp, stack);
  cpu.para.kernelSs = FLAT_RING3_DS32;
  cpu.cr3 = cpu.para.kernelCr3 = machineFrame(plan.tables) * PAGE;
  cpu.para.userCr3 = 0;
}
