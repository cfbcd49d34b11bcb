/**
 * Event channels (event_channel.h), two-level: a bit for each port in shared_info. What a port is bound to is a word in `Para.ports`. All of it is
 * used on the thread that runs the vCPU; for others there is `postEvent` (post.ts).
 */
import {
  Control, CPUS, Cpu, EVENT_INTERRUPT, EVENT_KICK, PARA_CONSOLE_PORT, PARA_PORTS, PARA_SHARED_INFO, PARA_STORE_PORT, PARA_VIRQS, Para,
  ParaVcpu,
} from '../../state/index.ts'; // prettier-ignore
import { EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, ESRCH, refuse } from './errno.ts';
import { DOMID_BACKEND, DOMID_GUEST, DOMID_SELF, SHARED_INFO, VCPU_INFO } from './shared.ts';

/** EVTCHNSTAT_*, in bits 0 to 7 of a port's low word. */
export const STAT_CLOSED = 0;
export const STAT_UNBOUND = 1;
export const STAT_INTERDOMAIN = 2;
export const STAT_VIRQ = 4;
export const STAT_IPI = 5;

export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
const VIRQ_XENOPROF = 7;
const VIRQ_XENPMU = 13;

/** Who is at the VMM's end of an interdomain channel: bits 8 to 15 of a port's low word. 0: nobody. */
export const BACKEND_STORE = 1;
export const BACKEND_CONSOLE = 2;
export const BACKEND_BLOCK = 3;

/** The VMM's end of event channels. */
export interface Backend {
  /** The guest has sent an event. */
  notify(port: number): void;
}

export interface PortStatus {
  readonly status: number;
  /** Of an unbound or interdomain port: the domain at the other end, and its port there. */
  readonly remoteDomain: number;
  readonly remotePort: number;
  readonly virq: number;
}

export class EventChannels {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  /** Indices of 32-bit words: two for each port; of the VMM's end, low: status and backend, high: remote domain << 16 | remote port, or the VIRQ. */
  readonly #ports: number;
  /** By VIRQ: its port, or 0. */
  readonly #virqs: number;
  readonly #para: number;
  readonly #vcpu: number;
  readonly #ram: number;
  readonly #backends: (Backend | undefined)[] = [];

  constructor(buffer: ArrayBufferLike) {
    const control = Control.view(buffer, 0);
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#para = control.para;
    this.#ports = (control.para + Para.offsets.ports) >> 2;
    this.#virqs = (control.para + Para.offsets.virqs) >> 2;
    this.#vcpu = CPUS + Cpu.offsets.para;
    this.#ram = control.ram;
  }

  /** Nothing is bound but what the toolstack gives a domain: xenstore's and the console's channels. */
  reset(): void {
    this.#words.fill(0, this.#ports, this.#ports + 2 * PARA_PORTS);
    this.#words.fill(0, this.#virqs, this.#virqs + PARA_VIRQS);
    this.#bind(PARA_STORE_PORT, STAT_INTERDOMAIN | (BACKEND_STORE << 8), PARA_STORE_PORT);
    this.#bind(PARA_CONSOLE_PORT, STAT_INTERDOMAIN | (BACKEND_CONSOLE << 8), PARA_CONSOLE_PORT);
    const posted = (this.#para + Para.offsets.posted) >> 2;
    this.#words.fill(0, posted, posted + PARA_PORTS / 32);
  }

  /** Says who a number of BACKEND_* is on this thread. */
  attach(number: number, backend: Backend): void {
    this.#backends[number] = backend;
  }

  // -- the guest's operations: each returns what it comes to, or refuses

  /** EVTCHNOP_alloc_unbound. */
  allocate(domain: number, remote: number): number {
    this.#checkSelf(domain);
    const other = remote === DOMID_SELF ? DOMID_GUEST : remote;
    if (other !== DOMID_BACKEND && other !== DOMID_GUEST) refuse(ESRCH);
    const port = this.#free();
    this.#bind(port, STAT_UNBOUND, other << 16);
    return port;
  }

  /** EVTCHNOP_bind_interdomain: with a port of its own; a backend's ports are not offered. */
  bindInterdomain(remote: number, remotePort: number): number {
    if (remote !== DOMID_SELF && remote !== DOMID_GUEST) {
      if (remote !== DOMID_BACKEND) refuse(ESRCH);
      refuse(EINVAL);
    }
    if (remotePort >= PARA_PORTS || remotePort === 0) refuse(EINVAL);
    if (this.#stat(remotePort) !== STAT_UNBOUND || this.#high(remotePort) >>> 16 !== DOMID_GUEST) refuse(EINVAL);
    const port = this.#free();
    this.#bind(port, STAT_INTERDOMAIN, (DOMID_GUEST << 16) | remotePort);
    this.#bind(remotePort, STAT_INTERDOMAIN, (DOMID_GUEST << 16) | port);
    // What was sent before there was anyone to get it.
    this.send(port);
    return port;
  }

  /** EVTCHNOP_bind_virq. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >= PARA_VIRQS) refuse(EINVAL);
    if (vcpu !== 0) refuse(ENOENT);
    if (![VIRQ_TIMER, VIRQ_DEBUG, VIRQ_XENOPROF, VIRQ_XENPMU].includes(virq)) refuse(EPERM);
    if (this.#virqPort(virq) !== 0) refuse(EEXIST);
    const port = this.#free();
    this.#bind(port, STAT_VIRQ, virq);
    this.#words[this.#virqs + virq] = port;
    return port;
  }

  /** EVTCHNOP_bind_ipi. */
  bindIpi(vcpu: number): number {
    if (vcpu !== 0) refuse(ENOENT);
    const port = this.#free();
    this.#bind(port, STAT_IPI, 0);
    return port;
  }

  /** EVTCHNOP_bind_pirq: there are no physical interrupts for it. */
  bindPirq(): never {
    refuse(EINVAL);
  }

  /** EVTCHNOP_close. */
  close(port: number): void {
    if (!this.#valid(port) || this.#stat(port) === STAT_CLOSED) refuse(EINVAL);
    const remote = this.#peer(port);
    if (remote !== 0) this.#bind(remote, STAT_UNBOUND, DOMID_GUEST << 16);
    if (this.#stat(port) === STAT_VIRQ) this.#words[this.#virqs + this.#high(port)] = 0;
    this.#bind(port, STAT_CLOSED, 0);
    this.#setBit(SHARED_INFO.pending, port, false);
  }

  /** EVTCHNOP_send. */
  sendFromGuest(port: number): void {
    if (!this.#valid(port)) refuse(EINVAL);
    switch (this.#stat(port)) {
      case STAT_INTERDOMAIN: {
        const remote = this.#peer(port);
        if (remote !== 0) this.send(remote);
        else this.#backends[(this.#low(port) >>> 8) & 0xff]?.notify(port);
        return;
      }
      case STAT_IPI:
        return this.send(port);
      case STAT_UNBOUND:
        // Silently lost, as is said of them.
        return;
      default:
        refuse(EINVAL);
    }
  }

  /** EVTCHNOP_status. */
  status(domain: number, port: number): PortStatus {
    if (domain !== DOMID_SELF && domain !== DOMID_GUEST) refuse(domain === DOMID_BACKEND ? EPERM : ESRCH);
    if (port >= PARA_PORTS) refuse(EINVAL);
    const status = this.#stat(port);
    const high = this.#high(port);
    return { status, remoteDomain: high >>> 16, remotePort: high & 0xffff, virq: high };
  }

  /** EVTCHNOP_bind_vcpu: there is one. */
  bindVcpu(port: number, vcpu: number): void {
    if (vcpu !== 0) refuse(ENOENT);
    if (!this.#valid(port)) refuse(EINVAL);
    const status = this.#stat(port);
    if (status !== STAT_UNBOUND && status !== STAT_INTERDOMAIN) refuse(EINVAL);
  }

  /** EVTCHNOP_unmask. */
  unmask(port: number): void {
    if (!this.#valid(port) || this.#stat(port) === STAT_CLOSED) refuse(EINVAL);
    if (!this.#bit(SHARED_INFO.mask, port)) return;
    this.#setBit(SHARED_INFO.mask, port, false);
    if (this.#bit(SHARED_INFO.pending, port)) this.#select(port);
  }

  /** EVTCHNOP_reset: everything is closed. */
  closeAll(domain: number): void {
    this.#checkSelf(domain);
    for (let port = 1; port < PARA_PORTS; port++) if (this.#stat(port) !== STAT_CLOSED) this.close(port);
  }

  // -- the VMM's

  /** A backend takes the VMM's end of a port that the guest offered to it; false: it did not. */
  bindBackend(port: number, backend: number): boolean {
    if (!this.#valid(port) || this.#stat(port) !== STAT_UNBOUND || this.#high(port) >>> 16 !== DOMID_BACKEND) return false;
    this.#bind(port, STAT_INTERDOMAIN | (backend << 8), (DOMID_BACKEND << 16) | port);
    this.send(port);
    return true;
  }

  /** The backend lets go of it: the guest may offer it again. */
  unbindBackend(port: number): void {
    if (this.#valid(port) && this.#stat(port) === STAT_INTERDOMAIN && this.#peer(port) === 0)
      this.#bind(port, STAT_UNBOUND, DOMID_BACKEND << 16);
  }

  /** BACKEND_* at the other end of a port; 0: none. */
  backendOf(port: number): number {
    return this.#valid(port) && this.#stat(port) === STAT_INTERDOMAIN ? (this.#low(port) >>> 8) & 0xff : 0;
  }

  /** An event for the guest. */
  send(port: number): void {
    if (!this.#valid(port) || this.#bit(SHARED_INFO.pending, port)) return;
    this.#setBit(SHARED_INFO.pending, port, true);
    if (!this.#bit(SHARED_INFO.mask, port)) this.#select(port);
    if (this.#words[(this.#para + Para.offsets.polling) >> 2] !== 0) this.#wakePoll(port);
  }

  sendVirq(virq: number): void {
    const port = this.#virqPort(virq);
    if (port !== 0) this.send(port);
  }

  /** Takes what other threads left. */
  takePosted(): void {
    const any = (this.#para + Para.offsets.anyPosted) >> 2;
    if (Atomics.load(this.#words, any) === 0) return;
    Atomics.store(this.#words, any, 0);
    const first = (this.#para + Para.offsets.posted) >> 2;
    for (let i = 0; i < PARA_PORTS / 32; i++) {
      if (this.#words[first + i] === 0) continue;
      let bits = Atomics.exchange(this.#words, first + i, 0);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        this.send(32 * i + bit);
      }
    }
  }

  isPending(port: number): boolean {
    return this.#bit(SHARED_INFO.pending, port);
  }

  /** vcpu_info.evtchn_upcall_pending and not masked. */
  get deliverable(): boolean {
    const info = this.#info;
    return this.#bytes[info + VCPU_INFO.upcallPending] !== 0 && this.#bytes[info + VCPU_INFO.upcallMask] === 0;
  }

  /** vcpu_info.evtchn_upcall_mask = 0. */
  enableUpcalls(): void {
    this.#bytes[this.#info + VCPU_INFO.upcallMask] = 0;
  }

  /** SCHEDOP_poll has waited long enough. */
  endPoll(): void {
    this.#wake();
  }

  /** Everything is to be looked for again: after vcpu_info has moved. */
  selectAll(): void {
    const info = this.#info;
    this.#words.fill(-1, (info + VCPU_INFO.pendingSel) >>> 2, ((info + VCPU_INFO.pendingSel) >>> 2) + 2);
    this.#mark();
  }

  /** Address of vcpu_info in machine memory. */
  get #info(): number {
    return this.#ram + (this.#words[(this.#vcpu + ParaVcpu.offsets.info) >> 2]! >>> 0);
  }

  #valid(port: number): boolean {
    return port > 0 && port < PARA_PORTS;
  }

  #low(port: number): number {
    return this.#words[this.#ports + 2 * port]!;
  }

  #high(port: number): number {
    return this.#words[this.#ports + 2 * port + 1]!;
  }

  #stat(port: number): number {
    return this.#low(port) & 0xff;
  }

  #bind(port: number, low: number, high: number): void {
    this.#words[this.#ports + 2 * port] = low;
    this.#words[this.#ports + 2 * port + 1] = high;
  }

  /** The guest's own port at the other end; 0: there is none. */
  #peer(port: number): number {
    const high = this.#high(port);
    return this.#stat(port) === STAT_INTERDOMAIN && high >>> 16 === DOMID_GUEST ? high & 0xffff : 0;
  }

  #virqPort(virq: number): number {
    return this.#words[this.#virqs + virq]!;
  }

  #free(): number {
    for (let port = 1; port < PARA_PORTS; port++) {
      if (this.#stat(port) !== STAT_CLOSED) continue;
      this.#setBit(SHARED_INFO.pending, port, false);
      return port;
    }
    refuse(ENOSPC);
  }

  #checkSelf(domain: number): void {
    if (domain !== DOMID_SELF && domain !== DOMID_GUEST) refuse(domain === DOMID_BACKEND ? EPERM : ESRCH);
  }

  #bit(bits: number, port: number): boolean {
    return ((this.#words[this.#shared(bits, port)]! >>> (port & 31)) & 1) !== 0;
  }

  #setBit(bits: number, port: number, on: boolean): void {
    const at = this.#shared(bits, port);
    if (on) this.#words[at]! |= 1 << (port & 31);
    else this.#words[at]! &= ~(1 << (port & 31));
  }

  #shared(bits: number, port: number): number {
    return ((this.#ram + PARA_SHARED_INFO * 4096 + bits) >>> 2) + (port >> 5);
  }

  /** The port's word is to be looked at. */
  #select(port: number): void {
    this.#words[((this.#info + VCPU_INFO.pendingSel) >>> 2) + (port >> 11)]! |= 1 << ((port >> 6) & 31);
    this.#mark();
  }

  #mark(): void {
    const at = this.#info + VCPU_INFO.upcallPending;
    if (this.#bytes[at] === 0) {
      this.#bytes[at] = 1;
      this.#wake();
    }
    Atomics.or(this.#words, (CPUS + Cpu.offsets.event) >> 2, EVENT_INTERRUPT);
  }

  #wakePoll(port: number): void {
    const polled = (this.#para + Para.offsets.polled) >> 2;
    const count = this.#words[(this.#para + Para.offsets.polledPorts) >> 2]!;
    if (this.#words.subarray(polled, polled + count).includes(port)) this.#wake();
  }

  #wake(): void {
    this.#words[(CPUS + Cpu.offsets.halted) >> 2] = 0;
    this.#words[(this.#para + Para.offsets.polling) >> 2] = 0;
  }
}

/** Makes the vCPU leave guest execution: a device is to be looked at, or a timer to be waited for. */
export function kick(words: Int32Array): void {
  Atomics.or(words, (CPUS + Cpu.offsets.event) >> 2, EVENT_KICK);
}
