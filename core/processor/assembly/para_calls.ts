/**
 * Hypercalls: SYSCALL in the guest's kernel, with the number in RAX and arguments in RDI, RSI, RDX, R10, R8 and R9 (arch-x86/xen-x86_64.h). Those of the processor and of page
 * tables are done here; all others by the domain's services in the host (core/vmm/para).
 */
import {
  CPU_gpr,
  CPU_para,
  CPU_rip,
  HYPERCALLS,
  PARAVCPU_args,
  PARAVCPU_batched,
  PARAVCPU_calls,
  PARAVCPU_frame,
  PARAVCPU_multicallSizes,
  PARAVCPU_result,
  PARAVCPU_time,
  PARAVCPU_timed,
  PARA_BATCHING,
  PARA_SIZES,
  PARA_crash,
  PARA_switches,
} from './layout';
import { FLAG_RF, getFlags } from './flags';
import { clock, hypercall } from './host';
import { crash, domain, isParaKernel } from './para';
import { mmuextOp } from './para_mmuext';
import { bounceSystemCall, deliverEvent, paraIret } from './para_entry';
import { isTimed } from './monitor';
import { EFAULT, EINVAL, ENOSYS, ESRCH } from './para_pages';
import {
  callbackOp,
  fpuTaskswitch,
  getDebugRegister,
  setCallbacks,
  setDebugRegister,
  setGdt,
  setSegmentBase,
  setTrapTable,
  stackSwitch,
  updateDescriptor,
} from './para_state';
import { PREEMPTED, mmuUpdate, ownerError, updateVaMapping } from './para_update';
import { copyKernel } from './para_walk';

const PARA: usize = CPU_para;
const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 1 * 8;
const RDX: usize = CPU_gpr + 2 * 8;
const RSI: usize = CPU_gpr + 6 * 8;
const RDI: usize = CPU_gpr + 7 * 8;
const R8: usize = CPU_gpr + 8 * 8;
const R9: usize = CPU_gpr + 9 * 8;
const R10: usize = CPU_gpr + 10 * 8;
const R11: usize = CPU_gpr + 11 * 8;

/** Bytes of SYSCALL. */
const SYSCALL_SIZE: u64 = 2;

const SET_TRAP_TABLE: u32 = 0;
const MMU_UPDATE: u32 = 1;
const SET_GDT: u32 = 2;
const STACK_SWITCH: u32 = 3;
const SET_CALLBACKS: u32 = 4;
const FPU_TASKSWITCH: u32 = 5;
const SET_DEBUGREG: u32 = 8;
const GET_DEBUGREG: u32 = 9;
const UPDATE_DESCRIPTOR: u32 = 10;
const MULTICALL: u32 = 13;
const UPDATE_VA_MAPPING: u32 = 14;
const XEN_VERSION: u32 = 17;
const UPDATE_VA_MAPPING_OTHERDOMAIN: u32 = 22;
const IRET: u32 = 23;
const SET_SEGMENT_BASE: u32 = 25;
const MMUEXT_OP: u32 = 26;
const CALLBACK_OP: u32 = 30;

/** XENVER_version: 4.17. Kernels ask for it to have events delivered. */
const VERSION: i64 = (4 << 16) | 17;

/** Entries of a multicall that are done at once; each may be long. */
const PORTION: u32 = 32;
/** struct multicall_entry: op, result, args. */
const ENTRY_SIZE: u64 = 64;
const ENTRY_RESULT: u64 = 8;
const ENTRY_ARGS: u64 = 16;

/** SYSCALL in a para VM: RIP is the next instruction's. */
export function paraSystemCall(cpu: usize): void {
  if (!isParaKernel(cpu)) return bounceSystemCall(cpu);
  const number = load<u32>(cpu, RAX);
  if (number == IRET) {
    const began = begin(cpu, number);
    paraIret(cpu);
    return end(cpu, number, began);
  }
  store<u64>(cpu, load<u64>(cpu, CPU_rip), RCX);
  store<u64>(cpu, getFlags(cpu) & ~FLAG_RF, R11);
  const result = dispatch(
    cpu,
    number,
    load<u64>(cpu, RDI),
    load<u64>(cpu, RSI),
    load<u64>(cpu, RDX),
    load<u64>(cpu, R10),
    load<u64>(cpu, R8),
    load<u64>(cpu, R9),
  );
  if (result == PREEMPTED) {
    // It goes on when the guest does, with the arguments that are left: events come before that.
    store<u64>(cpu, load<u64>(cpu, CPU_rip) - SYSCALL_SIZE, CPU_rip);
    const args = cpu + PARA + PARAVCPU_args;
    store<u64>(cpu, load<u64>(args), RDI);
    store<u64>(cpu, load<u64>(args, 8), RSI);
    store<u64>(cpu, load<u64>(args, 16), RDX);
  } else store<u64>(cpu, result, RAX);
  deliverEvent(cpu);
}

function count(cpu: usize, counters: usize, number: u32): u64 {
  const at = cpu + PARA + counters + ((<usize>min(number, HYPERCALLS - 1)) << 3);
  const before = load<u64>(at);
  store<u64>(at, before + 1);
  return before;
}

/** A hypercall of this size in a histogram (`PARA_SIZES`). */
function countSize(cpu: usize, histogram: usize, size: u32): void {
  if (size == 0) return;
  const place = size == 1 ? 0 : min<u32>(32 - clz(size - 1), PARA_SIZES - 1);
  const at = cpu + PARA + histogram + ((<usize>place) << 3);
  store<u64>(at, load<u64>(at) + 1);
}

/** Counts a hypercall; if it is one of those that are timed: when it begins (milliseconds), else 0. */
function begin(cpu: usize, number: u32): f64 {
  if (!isTimed(count(cpu, PARAVCPU_calls, number))) return 0;
  // A look at the clock takes time too: as long as between two looks.
  const before = clock();
  const now = clock();
  return now + (now - before);
}

function end(cpu: usize, number: u32, began: f64): void {
  if (began == 0) return;
  const at = cpu + PARA + (<usize>min(number, HYPERCALLS - 1) << 3);
  store<u64>(at, load<u64>(at, PARAVCPU_timed) + 1, PARAVCPU_timed);
  store<f64>(at, load<f64>(at, PARAVCPU_time) + max<f64>(clock() - began, 0), PARAVCPU_time);
}

/** Does a hypercall, counted and sometimes timed. PREEMPTED: there is more to do, with `ParaVcpu.args`. */
function dispatch(cpu: usize, number: u32, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64): i64 {
  const began = begin(cpu, number);
  const result = perform(cpu, number, a, b, c, d, e, f);
  end(cpu, number, began);
  return result;
}

function perform(cpu: usize, number: u32, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64): i64 {
  switch (number) {
    case SET_TRAP_TABLE:
      return setTrapTable(cpu, a);
    case MMU_UPDATE:
      return mmuUpdate(cpu, a, <u32>b, c, <u32>d);
    case SET_GDT:
      return setGdt(cpu, a, <u32>b);
    case STACK_SWITCH:
      return stackSwitch(cpu, a, b);
    case SET_CALLBACKS:
      return setCallbacks(cpu, a, b, c);
    case FPU_TASKSWITCH:
      return fpuTaskswitch(cpu, <u32>a);
    case SET_DEBUGREG:
      return setDebugRegister(cpu, <u32>a, b);
    case GET_DEBUGREG:
      return getDebugRegister(cpu, <u32>a);
    case UPDATE_DESCRIPTOR:
      return updateDescriptor(cpu, a, b);
    case MULTICALL:
      return multicall(cpu, a, <u32>b);
    case UPDATE_VA_MAPPING:
      return updateVaMapping(cpu, a, b, c);
    case UPDATE_VA_MAPPING_OTHERDOMAIN: {
      const error = ownerError(<u32>d & 0xffff);
      return error != 0 ? error : updateVaMapping(cpu, a, b, c);
    }
    case XEN_VERSION:
      if (<u32>a == 0) return VERSION;
      break;
    case IRET:
      return -ENOSYS;
    case SET_SEGMENT_BASE:
      return setSegmentBase(cpu, <u32>a, b);
    case MMUEXT_OP:
      return mmuextOp(cpu, a, <u32>b, c, <u32>d);
    case CALLBACK_OP:
      return callbackOp(cpu, <u32>a, b);
  }
  const args = cpu + PARA + PARAVCPU_args;
  store<u64>(args, a);
  store<u64>(args, b, 8);
  store<u64>(args, c, 16);
  store<u64>(args, d, 24);
  store<u64>(args, e, 32);
  store<u64>(args, f, 40);
  store<i64>(cpu, -ENOSYS, PARA + PARAVCPU_result);
  hypercall(cpu, number);
  const reason = load<u32>(domain(), PARA_crash);
  if (reason != 0) crash(cpu, reason);
  return load<i64>(cpu, PARA + PARAVCPU_result);
}

/** A list of hypercalls. Those that a look at each would preempt go on in the guest's place, as does a long list; without batching, each of its entries. */
function multicall(cpu: usize, list: u64, entries: u32): i64 {
  const most: u32 = load<u32>(domain(), PARA_switches) & PARA_BATCHING ? PORTION : 1;
  const portion = min(entries, most);
  countSize(cpu, PARAVCPU_multicallSizes, portion);
  const frame = cpu + PARA + PARAVCPU_frame;
  for (let i: u32 = 0; i < portion; i++) {
    const at = list + <u64>i * ENTRY_SIZE;
    if (!copyKernel(cpu, at, frame, <usize>ENTRY_SIZE, false)) return -EFAULT;
    const number = load<u32>(frame);
    count(cpu, PARAVCPU_batched, number);
    const args = frame + <usize>ENTRY_ARGS;
    const result =
      number == MULTICALL
        ? -EINVAL
        : dispatch(
            cpu,
            number,
            load<u64>(args),
            load<u64>(args, 8),
            load<u64>(args, 16),
            load<u64>(args, 24),
            load<u64>(args, 32),
            load<u64>(args, 40),
          );
    if (result == PREEMPTED) {
      if (!copyKernel(cpu, at + ENTRY_ARGS, cpu + PARA + PARAVCPU_args, 24, true)) return -EFAULT;
      return goOn(cpu, at, entries - i);
    }
    // Where it was may not be there any more.
    store<i64>(frame, result);
    if (!copyKernel(cpu, at + ENTRY_RESULT, frame, 8, true)) return -EFAULT;
    if (load<u32>(domain(), PARA_crash) != 0) return 0;
  }
  return portion == entries ? 0 : goOn(cpu, list + <u64>portion * ENTRY_SIZE, entries - portion);
}

function goOn(cpu: usize, list: u64, entries: u32): i64 {
  const args = cpu + PARA + PARAVCPU_args;
  store<u64>(args, list);
  store<u64>(args, entries, 8);
  store<u64>(args, load<u64>(cpu, RDX), 16);
  return PREEMPTED;
}
