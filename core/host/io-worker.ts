/** Entry of the I/O thread: serves block devices in the memories of paravirtualized machines, and gives and takes disks. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { attachMachine } from '../machine/create.ts';
import { places } from '../machine/places.ts';
import { instantiateHelpers } from '../processor/engine.ts';
import type { EngineModules } from '../processor/modules.ts';
import { openRaw, StorageError } from '../storage/raw.ts';
import { Bell } from '../translator/bell.ts';
import { ParaDevices } from '../vmm/para/devices.ts';
import { postEvent } from '../vmm/para/post.ts';
import { PcpuBlock, VmBlock } from './block.ts';
import type { FromIo, IoData, ToIo } from './io.ts';
import type { VmKey } from './protocol.ts';

/** Milliseconds. So often it returns to the event loop. */
const BREATH = 1000;
/** Milliseconds after which a ring is looked at once more (see `VbdBackend.serve`). */
const AGAIN = 0.05;
/** Milliseconds that a guest has to let go of a disk, and how often that is looked for. */
const PATIENCE = 10_000;
const LOOK = 20;

const port = parentPort;
if (port === null) throw new Error('the I/O thread is a worker thread');
const { bell: buffer, modules } = workerData as IoData;
const bell = new Bell(buffer);
const pcpus = new Map<number, PcpuBlock>();
const post = (message: FromIo): void => port.postMessage(message);

interface Unplugging {
  readonly ask: number;
  readonly slot: number;
  readonly serial: number;
  readonly path: string;
  readonly until: number;
}

interface Machine {
  readonly devices: ParaDevices;
  unplugging: Unplugging[];
}

const machines = new Map<VmKey, Machine>();

function attach({ key, memory, block }: Extract<ToIo, { type: 'attach' }>): void {
  const vm = new VmBlock(block);
  const helpers = instantiateHelpers(memory, modules as unknown as EngineModules);
  const send = (channel: number): void => {
    postEvent(memory.buffer, channel);
    const pcpu = pcpus.get(vm.pcpu);
    if (pcpu) pcpu.ring();
    else post({ type: 'wake', key });
  };
  const devices = new ParaDevices({
    buffer: memory.buffer,
    places: places(attachMachine(memory).layout).para,
    events: { send, bind: () => false, unbind: () => {} },
    open: openRaw,
    invalidate: (page, first, last) => helpers.invalidateCode(page, first, last),
    note: (text) => post({ type: 'note', key, text }),
    ring: () => {},
  });
  machines.set(key, { devices, unplugging: [] });
}

/** One sentence for the user, if it is his mistake. */
function failed(ask: number, error: unknown): void {
  const mistake = error instanceof StorageError || error instanceof RangeError;
  const { message } = error as Error;
  const text = mistake ? `${message.charAt(0).toUpperCase()}${message.slice(1)}.` : message;
  post({ type: 'failed', ask, message: text, mistake });
}

function unplug({ ask, disk }: Extract<ToIo, { type: 'unplug' }>, { devices, unplugging }: Machine): void {
  const slot = devices.find(disk);
  if (slot < 0) return failed(ask, new RangeError(`the guest has no disk ${disk}`));
  unplugging.push({ ask, slot, ...devices.disk(slot), until: performance.now() + PATIENCE });
  devices.detach(slot);
}

function receive(message: ToIo): void {
  if (message.type === 'pcpu') {
    pcpus.set(message.index, new PcpuBlock(message.block));
    return;
  }
  if (message.type === 'attach') return attach(message);
  const machine = machines.get(message.key);
  if (!machine) return;
  try {
    if (message.type === 'plug') post({ type: 'done', ask: message.ask, name: machine.devices.attach(message.disk) });
    else if (message.type === 'unplug') unplug(message, machine);
    else {
      machine.devices.close();
      machines.delete(message.key);
    }
  } catch (error) {
    if (message.type === 'detach') throw error;
    failed(message.ask, error);
  }
}

/** Tells who waits for disks that have gone, or whose guest does not let go of them. */
function settle(machine: Machine, now: number): void {
  machine.unplugging = machine.unplugging.filter(({ ask, slot, serial, path, until }) => {
    if (!machine.devices.holds(slot, serial)) post({ type: 'done', ask, name: path });
    else if (now > until)
      failed(ask, new RangeError('the guest does not let go of the disk; it goes when the guest does, or when it is switched off'));
    else return true;
    return false;
  });
}

function work(): void {
  const end = performance.now() + BREATH;
  let idle = 0;
  for (let now = performance.now(); now < end; now = performance.now()) {
    // Read before looking for work: what comes after that ends the wait at once.
    const { rung } = bell;
    for (let next; (next = receiveMessageOnPort(port!)) !== undefined;) receive(next.message as ToIo);
    idle++;
    let pause = end - now;
    for (const machine of machines.values()) {
      if (machine.devices.elsewhere && machine.devices.serve()) idle = 0;
      if (machine.unplugging.length === 0) continue;
      settle(machine, now);
      pause = Math.min(pause, LOOK);
    }
    if (idle > 0) bell.wait(rung, idle === 1 ? AGAIN : pause);
  }
  setImmediate(work);
}

work();
