/** Small operations: console_io, physdev_op (physdev.h), vm_assist, nmi_op, hvm_op. */
import { CPUS, Control, Cpu, Para, ParaVcpu } from '../../state/index.ts';
import type { Service } from './call.ts';
import { EINVAL, ENOSYS, EPERM, refuse } from './errno.ts';
import type { GuestMemory } from './guest-memory.ts';

const CONSOLEIO_WRITE = 0;
const CONSOLEIO_READ = 1;
/** Bytes that are taken at once. */
const TEXT_MAX = 16_384;

const IRQ_STATUS_QUERY = 5;
const SET_IOPL = 6;
const SET_IOBITMAP = 7;
const EOI = 12;
const PORTS = 65_536;
/** APIC registers, vectors, PIRQs, PCI: the host's. */
const PRIVILEGED: readonly number[] = [8, 9, 10, 11, 13, 14, 15, 16, 19, 20, 21, 23, 24, 25, 26, 29, 30, 31, 32];
/** What the older physdev_op knows; its operation stands behind the command. */
const COMPAT: readonly number[] = [IRQ_STATUS_QUERY, SET_IOPL, SET_IOBITMAP, 8, 9, 10, 11];

const VMASST_ENABLE = 0;
const VMASST_DISABLE = 1;
/** VMASST_TYPE_*: segments of 4 GiB and their notice, writable page tables, PAE's CR3, IOPL, runstate's flag; m2p_strict. */
const ASSISTS: readonly number[] = [0, 1, 2, 3, 4, 5, 32];
/** `Para.assists` has one word: m2p_strict, which changes nothing here, stands in bit 31. */
const STRICT_BIT = 31;

const XENNMI_REGISTER = 0;
const XENNMI_UNREGISTER = 1;

/** HVMOP_* that are about domains with virtual hardware. */
const HVMOPS: readonly number[] = [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 15, 23, 24, 25];

export interface ControlCalls {
  readonly consoleIo: Service;
  readonly physdev: Service;
  readonly physdevCompat: Service;
  readonly vmAssist: Service;
  readonly nmi: Service;
  readonly hvm: Service;
}

/** `put`: text for the console, beside its ring. */
export function controlCalls(buffer: ArrayBufferLike, memory: GuestMemory, put: (text: Uint8Array) => void): ControlCalls {
  const para = Para.view(buffer, Control.view(buffer, 0).para);
  const vcpu = CPUS + Cpu.offsets.para;
  const iopl = new Uint32Array(buffer, vcpu + ParaVcpu.offsets.iopl, 1);
  const nmiCallback = new BigUint64Array(buffer, vcpu + ParaVcpu.offsets.nmiCallback, 1);

  const physdev = (command: number, at: bigint): number => {
    switch (command) {
      case SET_IOPL: {
        const level = memory.readU32(at);
        if (level > 3) refuse(EINVAL);
        iopl[0] = level;
        return 0;
      }
      case SET_IOBITMAP:
        // There are no ports behind any of its bits.
        if (memory.read(at, 16).getUint32(8, true) > PORTS) refuse(EINVAL);
        return 0;
      case EOI:
      case IRQ_STATUS_QUERY:
        // No such interrupt.
        memory.read(at, 4);
        return refuse(EINVAL);
      default:
        return refuse(PRIVILEGED.includes(command) ? EPERM : ENOSYS);
    }
  };

  return {
    consoleIo: (args) => {
      const command = args.u32(0);
      if (command === CONSOLEIO_READ) refuse(EPERM);
      if (command !== CONSOLEIO_WRITE) refuse(ENOSYS);
      const { buffer: text } = memory.read(args.pointer(2), Math.min(args.u32(1), TEXT_MAX));
      put(new Uint8Array(text));
      return 0;
    },
    physdev: (args) => physdev(args.u32(0), args.pointer(1)),
    physdevCompat: (args) => {
      const at = args.pointer(0);
      const command = memory.readU32(at);
      return COMPAT.includes(command) ? physdev(command, at + 8n) : refuse(ENOSYS);
    },
    vmAssist: (args) => {
      const type = args.u32(1);
      if (!ASSISTS.includes(type)) refuse(EINVAL);
      const bit = (1 << Math.min(type, STRICT_BIT)) >>> 0;
      const command = args.u32(0);
      if (command === VMASST_ENABLE) para.assists = (para.assists | bit) >>> 0;
      else if (command === VMASST_DISABLE) para.assists = (para.assists & ~bit) >>> 0;
      else refuse(ENOSYS);
      return 0;
    },
    nmi: (args) => {
      const command = args.u32(0);
      if (command === XENNMI_REGISTER) {
        const handler = memory.read(args.pointer(1), 16).getBigUint64(0, true);
        if (BigInt.asUintN(64, BigInt.asIntN(48, handler)) !== handler) refuse(EINVAL);
        nmiCallback[0] = handler;
      } else if (command === XENNMI_UNREGISTER) nmiCallback[0] = 0n;
      else refuse(ENOSYS);
      return 0;
    },
    hvm: (args) => refuse(HVMOPS.includes(args.u32(0)) ? EINVAL : ENOSYS),
  };
}
