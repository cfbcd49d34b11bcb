/** event_channel_op (event_channel.h): structures in guest memory to operations of `EventChannels`. */
import type { Service } from './call.ts';
import { EFAULT, ENOSYS, refuse } from './errno.ts';
import { type EventChannels, STAT_INTERDOMAIN, STAT_UNBOUND, STAT_VIRQ } from './events.ts';
import type { GuestMemory } from './guest-memory.ts';

const BIND_INTERDOMAIN = 0;
const BIND_VIRQ = 1;
const BIND_PIRQ = 2;
const CLOSE = 3;
const SEND = 4;
const STATUS = 5;
const ALLOC_UNBOUND = 6;
const BIND_IPI = 7;
const BIND_VCPU = 8;
const UNMASK = 9;
const RESET = 10;

/** Bytes of each operation's structure. */
const SIZES: Readonly<Record<number, number>> = {
  [BIND_INTERDOMAIN]: 12,
  [BIND_VIRQ]: 12,
  [BIND_PIRQ]: 12,
  [CLOSE]: 4,
  [STATUS]: 24,
  [ALLOC_UNBOUND]: 8,
  [BIND_IPI]: 8,
  [BIND_VCPU]: 8,
  [UNMASK]: 4,
  [RESET]: 2,
};

/** The structure of the older event_channel_op, whose command stands in memory: where its union begins. */
const COMPAT_UNION = 4;

export function eventCalls(events: EventChannels, memory: GuestMemory): { readonly event: Service; readonly compat: Service } {
  const perform = (command: number, at: bigint): number => {
    // The most frequent.
    if (command === SEND) {
      events.sendFromGuest(memory.readU32(at));
      return 0;
    }
    const size = SIZES[command];
    // The FIFO ABI among them: the guest goes on with two levels.
    if (size === undefined) refuse(ENOSYS);
    const data = memory.read(at, size);
    const u16 = (offset: number): number => data.getUint16(offset, true);
    const u32 = (offset: number): number => data.getUint32(offset, true);
    /** Puts a port out. One that cannot be told is not kept. */
    const tell = (offset: number, port: number): number => {
      if (!memory.accessible(at + BigInt(offset), 4, true)) {
        events.close(port);
        refuse(EFAULT);
      }
      memory.writeU32(at + BigInt(offset), port);
      return 0;
    };
    switch (command) {
      case ALLOC_UNBOUND:
        return tell(4, events.allocate(u16(0), u16(2)));
      case BIND_INTERDOMAIN:
        return tell(8, events.bindInterdomain(u16(0), u32(4)));
      case BIND_VIRQ:
        return tell(8, events.bindVirq(u32(0), u32(4)));
      case BIND_IPI:
        return tell(4, events.bindIpi(u32(0)));
      case BIND_PIRQ:
        return events.bindPirq();
      case CLOSE:
        events.close(u32(0));
        return 0;
      case STATUS: {
        const { status, remoteDomain, remotePort, virq } = events.status(u16(0), u32(4));
        data.setUint32(8, status, true);
        data.setUint32(12, 0, true);
        if (status === STAT_UNBOUND || status === STAT_INTERDOMAIN) data.setUint16(16, remoteDomain, true);
        if (status === STAT_INTERDOMAIN) data.setUint32(20, remotePort, true);
        if (status === STAT_VIRQ) data.setUint32(16, virq, true);
        memory.write(at, data);
        return 0;
      }
      case BIND_VCPU:
        events.bindVcpu(u32(0), u32(4));
        return 0;
      case UNMASK:
        events.unmask(u32(0));
        return 0;
      default:
        events.closeAll(u16(0));
        return 0;
    }
  };
  return {
    event: (args) => perform(args.u32(0), args.pointer(1)),
    compat: (args) => {
      const at = args.pointer(0);
      return perform(memory.readU32(at), at + BigInt(COMPAT_UNION));
    },
  };
}
