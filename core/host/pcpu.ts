/** A pCPU thread: takes vCPUs from the main thread, runs them, gives them back. Between turns it waits for messages. */
import { parentPort, workerData } from 'node:worker_threads';
import type { TranslatorOptions } from '../translator/index.ts';
import { monitor } from '../vmm/bus.ts';
import { Bell } from '../translator/bell.ts';
import { UserError } from './api.ts';
import { PcpuBlock, VmBlock } from './block.ts';
import { milliseconds, monotonic } from './clock.ts';
import { SPEED_START, takeTurn, type Guest, type GuestEngine, type GuestMachine, type Outcome } from './executor.ts';
import { reclaim } from './reclaim.ts';
import type { FromPcpu, MachineSpec, ToPcpu, VmKey, WorkerData } from './protocol.ts';
import type { ProcessorBus } from '../bus/processor.ts';

/** What a machine's devices tell their host. */
export interface MachineHooks {
  ended(outcome: Outcome): void;
  /** A console's ring has output. */
  output(): void;
  note(text: string): void;
}

export interface OpenRequest {
  readonly spec: MachineSpec;
  readonly memory: WebAssembly.Memory;
  readonly modules: WorkerData['modules'];
  /** Milliseconds of the common clock at which the guest's time was 0 (changes when it is paused). */
  epoch(): number;
  /** Wall time at the guest's time 0, in milliseconds since 1970. */
  readonly rtcStart: number;
  readonly hooks: MachineHooks;
  /** Seconds that the first vCPU has waited for a processor and been halted; absent: nobody counts. */
  waited?(): { readonly ready: number; readonly halted: number };
  /** For who wants to look at translations. */
  readonly translator?: TranslatorOptions;
  /** Wakes the compiler's thread, if there is one. */
  readonly wakeCompiler?: () => void;
  /** Wakes the I/O thread, if there is one. */
  readonly wakeIo?: () => void;
}

/** Builds a machine and its processor on a memory. */
export interface Opener<M extends GuestMachine, E extends GuestEngine> {
  machine(request: OpenRequest): M;
  /** `bus` is the machine's, with exits counted. */
  engine(request: OpenRequest, machine: M, bus: ProcessorBus): E;
  /** Loads the system into memory and sets the vCPUs' registers. Throws UserErrors. */
  boot(request: OpenRequest, machine: M): void | Promise<void>;
}

/** One sentence for a thing that was thrown, with the place it came from if it is a mistake of ours. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const place = /\n\s+at (.*)/.exec(error.stack ?? '')?.[1];
  const message = error.message || error.name;
  return place === undefined ? message : `${message} (${place.replace(/\(?(?:file:\/\/)?[^\s()]*[\\/]([^\s()]+)\)?/, '$1')})`;
}

/** Serves turns on this worker thread until it is terminated. */
export function serve<M extends GuestMachine, E extends GuestEngine>(opener: Opener<M, E>): void {
  const port = parentPort;
  if (port === null) throw new Error('a pCPU is a worker thread');
  const data = workerData as WorkerData;
  const pcpu = new PcpuBlock(data.block);
  const bell = data.compiler && new Bell(data.compiler);
  const io = data.io && new Bell(data.io);
  const guests = new Map<VmKey, Guest>();
  const post = (message: FromPcpu): void => port.postMessage(message);

  const open = async (message: Extract<ToPcpu, { type: 'open' }>): Promise<void> => {
    const { vm } = message;
    try {
      const block = new VmBlock(message.block);
      const request: OpenRequest = {
        spec: message.spec,
        memory: message.memory,
        modules: data.modules,
        epoch: () => block.epoch,
        rtcStart: message.rtcStart,
        waited: () => block.accounts[0]!.waited,
        wakeCompiler: bell && (() => bell.ring()),
        wakeIo: io && (() => io.ring()),
        hooks: {
          ended: (outcome) => {
            guest.outcome ??= outcome;
          },
          output: () => {
            if (block.markOutput()) post({ type: 'output', vm });
          },
          note: (text) => post({ type: 'note', vm, text }),
        },
      };
      const machine = opener.machine(request);
      const bus = monitor(machine.bus, () => block.accounts[0]!, monotonic);
      const guest: Guest = { block, machine, bus, engine: opener.engine(request, machine, bus), outcome: undefined, speed: SPEED_START };
      if (message.boot) {
        await opener.boot(request, machine);
        post({ type: 'booted', vm });
      }
      guests.set(vm, guest);
    } catch (error) {
      const mistake = error instanceof UserError;
      post({ type: 'failed', vm, message: mistake ? error.message : describe(error), field: mistake ? error.field : undefined, mistake });
    }
  };

  const run = async (message: Extract<ToPcpu, { type: 'run' }>): Promise<void> => {
    const { vm, vcpu } = message;
    const guest = guests.get(vm);
    // The machine could not be opened here: 'failed' has been said.
    if (guest === undefined) return;
    try {
      const end = milliseconds() + message.slice;
      guest.block.pcpu = data.pcpu;
      let turn = takeTurn(guest, vcpu, message.slice, pcpu, end);
      while (turn.why === 'breath') {
        await new Promise((resolve) => setImmediate(resolve));
        turn = takeTurn(guest, vcpu, message.slice, pcpu, end);
      }
      // Before it is said: who finds it on no pCPU tells the main thread.
      guest.block.pcpu = -1;
      const undefinedOpcodes = Object.fromEntries(guest.engine.undefinedOpcodes());
      if (turn.why === 'ended') post({ type: 'ended', vm, vcpu, outcome: turn.outcome, undefinedOpcodes });
      else post({ type: 'stopped', vm, vcpu, stop: turn, undefinedOpcodes });
    } catch (error) {
      post({ type: 'ended', vm, vcpu, outcome: { kind: 'crash', status: 'device', reason: describe(error) }, undefinedOpcodes: {} });
    }
  };

  // One after another: a machine must be open before it runs.
  let chain = Promise.resolve();
  port.on('message', (message: ToPcpu) => {
    chain = chain.then(() => {
      if (message.type === 'open') return open(message);
      if (message.type === 'run') return run(message);
      guests.get(message.vm)?.machine.close();
      guests.delete(message.vm);
      reclaim();
      return undefined;
    });
  });
}
