/** sched_op (sched.h). */
import { CPUS, Control, Cpu, PARA_POLLED, PARA_PORTS, Para } from '../../state/index.ts';
import type { Service } from './call.ts';
import { EINVAL, ENOSYS, EPERM, refuse } from './errno.ts';
import { type EventChannels, kick } from './events.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { DomainTime } from './time.ts';

const YIELD = 0;
const BLOCK = 1;
const SHUTDOWN = 2;
const POLL = 3;
const REMOTE_SHUTDOWN = 4;
const SHUTDOWN_CODE = 5;
const WATCHDOG = 6;
const PIN_OVERRIDE = 7;

export const SHUTDOWN_POWEROFF = 0;
export const SHUTDOWN_REBOOT = 1;
export const SHUTDOWN_SUSPEND = 2;
export const SHUTDOWN_CRASH = 3;
export const SHUTDOWN_WATCHDOG = 4;

export interface SchedOptions {
  readonly buffer: ArrayBufferLike;
  readonly events: EventChannels;
  readonly memory: GuestMemory;
  readonly time: DomainTime;
  /** The domain is over: SHUTDOWN_*. */
  shutdown(reason: number): void;
}

export function schedCalls({ buffer, events, memory, time, shutdown }: SchedOptions): {
  readonly sched: Service;
  readonly compat: Service;
} {
  const para = Para.view(buffer, Control.view(buffer, 0).para);
  const words = new Int32Array(buffer);
  const halted = (CPUS + Cpu.offsets.halted) >> 2;

  /** Nothing is to be waited for: the guest finds out what there is on its way back. */
  const block = (): number => {
    events.enableUpcalls();
    if (!events.deliverable) words[halted] = 1;
    return 0;
  };

  const end = (reason: number): number => {
    // The guest is told at once that it was not suspended.
    if (reason === SHUTDOWN_SUSPEND) return 1;
    shutdown(para.shutdownCode === 0 ? reason : para.shutdownCode - 1);
    return 0;
  };

  const poll = (at: bigint): number => {
    const data = memory.read(at, 24);
    const count = data.getUint32(8, true);
    if (count > PARA_POLLED) refuse(EINVAL);
    const timeout = data.getBigUint64(16, true);
    const ports = memory.read(data.getBigUint64(0, true), 4 * count);
    const list = Array.from({ length: count }, (_, i) => ports.getUint32(4 * i, true));
    if (list.some((port) => port >= PARA_PORTS)) refuse(EINVAL);
    if (events.deliverable || list.some((port) => events.isPending(port))) return 0;
    const until = timeout === 0n ? Infinity : Number(timeout);
    if (until <= time.now()) return 0;
    list.forEach((port, i) => para.polled.set(i, port));
    para.polledPorts = count;
    para.pollTimeout = until;
    para.polling = 1;
    words[halted] = 1;
    return 0;
  };

  const either = (command: number): number => {
    if (command === BLOCK) return block();
    // Others get their turn, and the console's reader what there is.
    kick(words);
    return 0;
  };

  return {
    sched: (args) => {
      const command = args.u32(0);
      const at = args.pointer(1);
      switch (command) {
        case YIELD:
        case BLOCK:
          return either(command);
        case SHUTDOWN:
          return end(memory.readU32(at) & 0xff);
        case POLL:
          return poll(at);
        case REMOTE_SHUTDOWN:
        case PIN_OVERRIDE:
          return refuse(EPERM);
        case SHUTDOWN_CODE:
          para.shutdownCode = (memory.readU32(at) & 0xff) + 1;
          return 0;
        case WATCHDOG: {
          const data = memory.read(at, 8);
          return time.setWatchdog(data.getUint32(0, true), data.getUint32(4, true));
        }
        default:
          return refuse(ENOSYS);
      }
    },
    compat: (args) => {
      const command = args.u32(0);
      if (command === YIELD || command === BLOCK) return either(command);
      if (command === SHUTDOWN) return end(args.u32(1) & 0xff);
      return refuse(ENOSYS);
    },
  };
}
