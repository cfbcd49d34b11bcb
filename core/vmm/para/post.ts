/**
 * Events from other threads than the vCPU's. What the guest sees of events (shared_info, vcpu_info) changes on the vCPU's own thread alone: a guest's
 * LOCK prefix is no atomic operation of WebAssembly. Others leave a bit, and make the vCPU come out for it.
 */
import { Control, CPUS, Cpu, EVENT_KICK, Para } from '../../state/index.ts';

/** Leaves an event for port `port` of the domain whose memory this is. Any thread may. A vCPU that waits must be woken besides. */
export function postEvent(buffer: ArrayBufferLike, port: number): void {
  const words = new Int32Array(buffer);
  const para = Atomics.load(words, Control.offsets.para >> 2);
  Atomics.or(words, ((para + Para.offsets.posted) >> 2) + (port >> 5), 1 << (port & 31));
  Atomics.store(words, (para + Para.offsets.anyPosted) >> 2, 1);
  Atomics.or(words, (CPUS + Cpu.offsets.event) >> 2, EVENT_KICK);
}
