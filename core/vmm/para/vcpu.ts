/** vcpu_op (vcpu.h): a domain has one vCPU, which is up. */
import { CPUS, Control, Cpu, EVENT_NMI, PAGE, PARA_GUEST, PARA_SHARED_INFO, ParaVcpu } from '../../state/index.ts';
import type { Service } from './call.ts';
import { EEXIST, EINVAL, ENOENT, ENOSYS, refuse } from './errno.ts';
import type { EventChannels } from './events.ts';
import type { Frames } from './frames.ts';
import type { GuestMemory } from './guest-memory.ts';
import { SHUTDOWN_POWEROFF } from './sched.ts';
import { VCPU_INFO } from './shared.ts';
import type { DomainTime } from './time.ts';

const INITIALISE = 0;
const UP = 1;
const DOWN = 2;
const IS_UP = 3;
const GET_RUNSTATE_INFO = 4;
const REGISTER_RUNSTATE_MEMORY_AREA = 5;
const SET_PERIODIC_TIMER = 6;
const STOP_PERIODIC_TIMER = 7;
const SET_SINGLESHOT_TIMER = 8;
const STOP_SINGLESHOT_TIMER = 9;
const REGISTER_VCPU_INFO = 10;
const SEND_NMI = 11;
const GET_PHYSID = 12;
const REGISTER_VCPU_TIME_MEMORY_AREA = 13;

const SSHOTTMR_FUTURE = 1;

export interface VcpuOptions {
  readonly buffer: ArrayBufferLike;
  readonly events: EventChannels;
  readonly frames: Frames;
  readonly memory: GuestMemory;
  readonly time: DomainTime;
  shutdown(reason: number): void;
}

export function vcpuCalls({ buffer, events, frames, memory, time, shutdown }: VcpuOptions): Service {
  const words = new Int32Array(buffer);
  const bytes = new Uint8Array(buffer);
  const { ram } = Control.view(buffer, 0);
  const info = (CPUS + Cpu.offsets.para + ParaVcpu.offsets.info) >> 2;

  /** Moves vcpu_info to where the guest wants it, once. */
  const registerInfo = (at: bigint): number => {
    const data = memory.read(at, 16);
    const offset = data.getUint32(8, true);
    const frame = Number(data.getBigUint64(0, true));
    if (offset > PAGE - VCPU_INFO.size || offset % 8 !== 0) refuse(EINVAL);
    const old = words[info]! >>> 0;
    if (old >>> 12 !== PARA_SHARED_INFO) refuse(EINVAL);
    // In a frame of the guest's own, not in another that it shares with the VMM.
    if (frame < PARA_GUEST || !frames.hold(frame)) refuse(EINVAL);
    const next = frame * PAGE + offset;
    bytes.copyWithin(ram + next, ram + old, ram + old + VCPU_INFO.size);
    words[info] = next;
    frames.written(frame, offset, offset + VCPU_INFO.size - 1);
    events.selectAll();
    return 0;
  };

  return (args) => {
    const command = args.u32(0);
    const at = args.pointer(2);
    if (args.u32(1) !== 0) refuse(ENOENT);
    switch (command) {
      case INITIALISE:
        return refuse(EEXIST);
      case UP:
        return 0;
      case DOWN:
        // The last one.
        shutdown(SHUTDOWN_POWEROFF);
        return 0;
      case IS_UP:
        return 1;
      case GET_RUNSTATE_INFO:
        memory.write(at, time.runstate());
        return 0;
      case REGISTER_RUNSTATE_MEMORY_AREA:
        time.registerRunstate(memory.readU64(at));
        return 0;
      case SET_PERIODIC_TIMER:
        time.setPeriodic(Number(memory.readU64(at)));
        return 0;
      case STOP_PERIODIC_TIMER:
        time.stopPeriodic();
        return 0;
      case SET_SINGLESHOT_TIMER:
        time.setSingleshot(Number(memory.readU64(at)), (memory.readU32(at + 8n) & SSHOTTMR_FUTURE) !== 0);
        return 0;
      case STOP_SINGLESHOT_TIMER:
        time.stopSingleshot();
        return 0;
      case REGISTER_VCPU_INFO:
        return registerInfo(at);
      case SEND_NMI:
        Atomics.or(words, (CPUS + Cpu.offsets.event) >> 2, EVENT_NMI);
        return 0;
      case GET_PHYSID:
        // Only of a vCPU that is pinned to a processor.
        return refuse(EINVAL);
      case REGISTER_VCPU_TIME_MEMORY_AREA:
        memory.write(memory.readU64(at), time.timeInfo());
        return 0;
      default:
        return refuse(ENOSYS);
    }
  };
}
