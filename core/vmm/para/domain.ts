/**
 * A domain: what the VMM does for a paravirtualized guest outside the processor. It has no state of its own: all is in machine memory, so that any
 * thread may go on with it, one at a time.
 */
import type { SteadyClock } from '../../bus/clock.ts';
import type { Ring } from '../../bus/ring.ts';
import { CPUS, Control, Cpu, Para, ParaVcpu } from '../../state/index.ts';
import { Arguments, type Service } from './call.ts';
import { ParaConsole } from './console.ts';
import { controlCalls } from './control.ts';
import { ENOSYS, Refusal } from './errno.ts';
import { eventCalls } from './event-calls.ts';
import { BACKEND_CONSOLE, EventChannels, kick } from './events.ts';
import { Frames, type PageKeeper } from './frames.ts';
import { GuestMemory, type Walker } from './guest-memory.ts';
import { memoryCalls } from './memory.ts';
import { HYPERCALL_ROWS, hypercallRow } from './rows.ts';
import { schedCalls, SHUTDOWN_WATCHDOG } from './sched.ts';
import { DomainTime, type Waited } from './time.ts';
import { vcpuCalls } from './vcpu.ts';
import { versionCalls } from './version.ts';

/** What the processor's part does for the domain (exports of core/processor/assembly). */
export type DomainProcessor = Walker & PageKeeper;

export interface DomainOptions {
  readonly buffer: ArrayBufferLike;
  readonly clock: SteadyClock;
  /** Wall time at clock 0, milliseconds since 1970. */
  readonly startTime: number;
  /** The other ends of the console. */
  readonly output: Ring;
  readonly input: Ring;
  outputNotify(): void;
  waited?(): Waited;
  /** It is over: SHUTDOWN_* (sched.h). */
  ended(reason: number): void;
}

const NUMBERS = new Map(HYPERCALL_ROWS.map(({ name, number }) => [name, number]));

export class Domain {
  readonly events: EventChannels;
  readonly memory: GuestMemory;
  readonly frames: Frames;
  readonly time: DomainTime;
  readonly console: ParaConsole;
  readonly #options: DomainOptions;
  readonly #services = new Map<number, Service>();
  readonly #args: Arguments;
  readonly #result: BigInt64Array;
  readonly #para;
  readonly #words: Int32Array;

  constructor(options: DomainOptions) {
    const { buffer, clock, startTime, output, input } = options;
    this.#options = options;
    this.#words = new Int32Array(buffer);
    this.#para = Para.view(buffer, Control.view(buffer, 0).para);
    this.#args = new Arguments(buffer, CPUS);
    this.#result = new BigInt64Array(buffer, CPUS + Cpu.offsets.para + ParaVcpu.offsets.result, 1);
    const rearm = (): void => clock.armed(this.deadline());
    const events = new EventChannels(buffer);
    const memory = new GuestMemory(buffer, CPUS);
    const frames = new Frames(buffer);
    const shutdown = (reason: number): void => this.#shutdown(reason);
    const time = new DomainTime({
      buffer,
      clock,
      startTime,
      memory,
      events,
      rearm,
      waited: options.waited,
      watchdog: () => shutdown(SHUTDOWN_WATCHDOG),
    });
    this.console = new ParaConsole({
      buffer,
      events,
      frames,
      output,
      input,
      rearm,
      now: () => clock.now(),
      notify: () => options.outputNotify(),
    });
    this.events = events;
    this.memory = memory;
    this.frames = frames;
    this.time = time;
    events.attach(BACKEND_CONSOLE, this.console);

    const event = eventCalls(events, memory);
    const sched = schedCalls({ buffer, events, memory, time, shutdown });
    const control = controlCalls(buffer, memory, (text) => this.console.put(text));
    this.serve('sched_op_compat', sched.compat);
    this.serve('memory_op', memoryCalls(buffer, frames, memory));
    this.serve('set_timer_op', (args) => {
      time.setTimer(args.u64(0));
      return 0;
    });
    this.serve('event_channel_op_compat', event.compat);
    this.serve('xen_version', versionCalls(memory));
    this.serve('console_io', control.consoleIo);
    this.serve('physdev_op_compat', control.physdevCompat);
    this.serve('vm_assist', control.vmAssist);
    this.serve('vcpu_op', vcpuCalls({ buffer, events, frames, memory, time, shutdown }));
    this.serve('nmi_op', control.nmi);
    this.serve('sched_op', sched.sched);
    this.serve('event_channel_op', event.event);
    this.serve('physdev_op', control.physdev);
    this.serve('hvm_op', control.hvm);
  }

  /** Says who does a hypercall: `name` as in rows.ts. */
  serve(name: string, service: Service): void {
    const number = NUMBERS.get(name);
    if (number === undefined) throw new RangeError(`there is no hypercall ${name}`);
    this.#services.set(number, service);
  }

  /** There is a processor on this thread. */
  connect(processor: DomainProcessor): void {
    this.memory.walker = processor;
    this.frames.keeper = processor;
  }

  /** After the system was loaded: what the guest shares with the VMM is made. */
  reset(): void {
    this.#para.shutdown = this.#para.shutdownCode = this.#para.assists = 0;
    this.events.reset();
    this.time.reset();
    this.frames.hold(this.#para.consoleFrame);
    this.frames.hold(this.#para.storeFrame);
  }

  /** `ProcessorBus.hypercall`. */
  hypercall(number: number): void {
    this.#result[0] = BigInt(this.#perform(number));
  }

  /** When `advance` must next be called; Infinity: not before something happens. */
  deadline(): number {
    return Math.min(this.time.deadline(), this.console.deadline());
  }

  /** Timers, the console, events from other threads. */
  advance(now: number): void {
    if (this.#para.shutdown !== 0) return this.#options.ended(this.#para.shutdown - 1);
    this.events.takePosted();
    if (this.time.deadline() <= now) this.time.tick(now);
    this.console.poll();
    this.time.update();
  }

  #perform(number: number): number {
    const service = this.#services.get(number);
    if (service === undefined) {
      const by = hypercallRow(number)?.by;
      return -(typeof by === 'number' ? by : ENOSYS);
    }
    try {
      return service(this.#args);
    } catch (error) {
      if (error instanceof Refusal) return -error.errno;
      throw error;
    }
  }

  /** The guest does not come back from the hypercall, if it is one: the vCPU stops, and `advance` says so. */
  #shutdown(reason: number): void {
    if (this.#para.shutdown === 0) this.#para.shutdown = reason + 1;
    this.#words[(CPUS + Cpu.offsets.halted) >> 2] = 1;
    kick(this.#words);
  }
}
