/** For tests: a paravirtualized domain's memory without a processor, and a guest that uses its rings as a kernel's drivers do. */
import { readFileSync } from 'node:fs';
import {
  Control, OWNER_GUEST, PAGE, PARA_ASYNCHRONY, PARA_GRANTS, PARA_GUEST, PARA_STORE_PORT, PageInfo, Para, type View,
} from '../state/index.ts'; // prettier-ignore
import { parseCpu } from '../spec/models.ts';
import { openRaw } from '../storage/raw.ts';
import { RING_ENTRIES, RING_START, REQUEST } from '../vmm/para/block/ring.ts';
import { ParaDevices } from '../vmm/para/devices.ts';
import { EventChannels } from '../vmm/para/events.ts';
import { decode, encode, type Message, sizeOf } from '../vmm/para/xenstore/wire.ts';
import * as xs from '../vmm/para/xenstore/wire.ts';
import { attachMachine, createMachine } from './create.ts';
import { places } from './places.ts';

/** Frames of the guest's, from its first: what they are for in these tests. */
const STORE = 0;
const RING = 1;
export const DATA = 4;

export interface FixtureOptions {
  readonly asynchrony?: boolean;
  readonly disks?: readonly { readonly path: string; readonly readonly?: boolean }[];
}

export interface SegmentOf {
  readonly ref: number;
  readonly first?: number;
  readonly last?: number;
}

export class ParaFixture {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBufferLike;
  readonly ram: Uint8Array;
  readonly devices: ParaDevices;
  readonly channels: EventChannels;
  readonly para: View<typeof Para.fields>;
  /** Ports that the guest was sent events for, in order; pages that were written. */
  readonly events: number[] = [];
  readonly written: number[] = [];
  readonly notes: string[] = [];
  /** Times that the other thread was rung for. */
  rung = 0;
  readonly words: Int32Array;
  readonly #ramAt: number;
  /** The front end's ring and indices: of the device that was connected last. */
  #frame = RING;
  #produced = 0;
  #consumed = 0;
  #watchEvents: string[] = [];
  #text = '';
  #next = 1;

  constructor({ asynchrony = false, disks = [] }: FixtureOptions = {}, of?: WebAssembly.Memory) {
    const { memory, layout } =
      of === undefined
        ? createMachine({ memoryMiB: 4, vcpus: 1, cpu: parseCpu(''), para: { batching: true, asynchrony } })
        : attachMachine(of);
    this.memory = memory;
    this.buffer = memory.buffer;
    const control = Control.view(this.buffer, 0);
    this.#ramAt = control.ram;
    this.ram = new Uint8Array(this.buffer, control.ram, control.ramSize);
    this.words = new Int32Array(this.buffer);
    this.para = Para.view(this.buffer, control.para);
    this.channels = new EventChannels(this.buffer);
    this.devices = new ParaDevices({
      buffer: this.buffer,
      places: places(layout).para,
      events: {
        send: (port) => void this.events.push(port),
        bind: (port) => this.channels.bindBackend(port, 3),
        unbind: (port) => this.channels.unbindBackend(port),
      },
      open: openRaw,
      invalidate: (page) => void this.written.push(page),
      note: (text) => void this.notes.push(text),
      ring: asynchrony ? () => void this.rung++ : undefined,
    });
    if (of !== undefined) return;
    for (let frame = PARA_GUEST; frame < PARA_GUEST + this.para.guestFrames; frame++) this.page(frame).owner = OWNER_GUEST;
    this.para.storeFrame = PARA_GUEST + STORE;
    this.para.grantFrames = 2;
    this.channels.reset();
    this.devices.reset({ name: 'test', memoryKiB: 4096, disks });
  }

  /** The same domain, as another thread sees it. */
  another(): ParaFixture {
    return new ParaFixture({ asynchrony: (this.para.switches & PARA_ASYNCHRONY) !== 0 }, this.memory);
  }

  page(frame: number) {
    return PageInfo.view(this.buffer, this.para.pages + frame * PageInfo.size);
  }

  busy(frame: number): number {
    return new Uint8Array(this.buffer)[this.para.busy + frame]!;
  }

  frame(index: number): number {
    return PARA_GUEST + index;
  }

  bytes(index: number): Uint8Array {
    return this.ram.subarray(this.frame(index) * PAGE, (this.frame(index) + 1) * PAGE);
  }

  /** Fills in a grant table's entry. */
  grant(ref: number, index: number, flags = 1, domain = 0): void {
    const at = (this.#ramAt + PARA_GRANTS * PAGE + 8 * ref) >> 2;
    this.words[at + 1] = this.frame(index);
    this.words[at] = flags | (domain << 16);
  }

  flags(ref: number): number {
    return this.words[(this.#ramAt + PARA_GRANTS * PAGE + 8 * ref) >> 2]! & 0xffff;
  }

  // -- xenstore

  #storeRing(): { bytes: Uint8Array; words: Int32Array } {
    return { bytes: this.bytes(STORE), words: new Int32Array(this.buffer, this.bytes(STORE).byteOffset, PAGE / 4) };
  }

  /** Puts bytes into the request ring, as far as there is room, and rings. */
  send(text: string): string {
    const { bytes, words } = this.#storeRing();
    const produced = words[xs.XS_REQ_PROD >> 2]!;
    const room = xs.XENSTORE_RING_SIZE - (produced - words[xs.XS_REQ_CONS >> 2]!);
    const n = Math.max(0, Math.min(room, text.length));
    for (let i = 0; i < n; i++) bytes[xs.XS_REQ + ((produced + i) & 1023)] = text.charCodeAt(i);
    words[xs.XS_REQ_PROD >> 2] = produced + n;
    this.devices.notify(PARA_STORE_PORT);
    return text.slice(n);
  }

  /** Takes what is in the response ring. */
  receive(): string {
    const { bytes, words } = this.#storeRing();
    let text = '';
    let consumed = words[xs.XS_RSP_CONS >> 2]!;
    for (; consumed !== words[xs.XS_RSP_PROD >> 2]!; consumed++) text += String.fromCharCode(bytes[xs.XS_RSP + (consumed & 1023)]!);
    words[xs.XS_RSP_CONS >> 2] = consumed;
    if (text !== '') this.devices.notify(PARA_STORE_PORT);
    return text;
  }

  /** The next answer of those that have come; watch events are kept for `watched`. */
  #answer(): Message | undefined {
    for (;;) {
      this.#text += this.receive();
      const size = sizeOf(this.#text);
      if (!(this.#text.length >= size)) return undefined;
      const message = decode(this.#text);
      this.#text = this.#text.slice(size);
      if (message.type !== xs.XS_WATCH_EVENT) return message;
      this.#watchEvents.push(message.payload);
    }
  }

  /** One request; returns its answer. */
  ask(type: number, payload: string, transaction = 0): Message {
    let out = encode({ type, request: this.#next++, transaction, payload });
    for (let rounds = 0; rounds < 1000; rounds++) {
      if (out !== '') out = this.send(out);
      const message = this.#answer();
      if (message) return message;
    }
    throw new Error('xenstore gave no answer');
  }

  /** The payload of the answer, or the error's name. */
  say(type: number, payload: string, transaction = 0): string {
    return this.ask(type, payload, transaction).payload.replaceAll('\0', '|');
  }

  /** Watch events since. */
  watched(): string[] {
    if (this.#answer()) throw new Error('xenstore answered what was not asked');
    const events = this.#watchEvents.map((event) => event.replaceAll('\0', '|'));
    this.#watchEvents = [];
    return events;
  }

  // -- a block device

  /** Brings the driver of a device up to state Connected; returns the port. */
  connect(device = 51_712, options: { persistent?: boolean; ref?: number; frame?: number } = {}): number {
    const front = `device/vbd/${device}`;
    this.#frame = options.frame ?? RING;
    const ring = this.#ring();
    ring.fill(0);
    ring[1] = ring[3] = 1;
    this.#produced = this.#consumed = 0;
    const ref = options.ref ?? 8;
    this.grant(ref, this.#frame);
    const port = this.channels.allocate(1, 0);
    const nodes = {
      'ring-ref': ref,
      'event-channel': port,
      protocol: 'x86_64-abi',
      'feature-persistent': options.persistent ? 1 : 0,
      state: 3,
    };
    for (const [name, value] of Object.entries(nodes)) this.say(xs.XS_WRITE, `${front}/${name}\0${value}`);
    this.say(xs.XS_WRITE, `${front}/state\0${4}`);
    return port;
  }

  #ring(): Int32Array {
    return new Int32Array(this.buffer, this.bytes(this.#frame).byteOffset, PAGE / 4);
  }

  /** Puts a request into the ring; true: the backend wants to be told. */
  put(request: Uint8Array): boolean {
    const ring = this.#ring();
    this.bytes(this.#frame).set(request, RING_START + (this.#produced % RING_ENTRIES) * REQUEST);
    const before = ring[0]!;
    ring[0] = ++this.#produced;
    return (ring[0] - ring[1]!) >>> 0 < ring[0] - before;
  }

  /** Takes responses: [id, operation, status]. */
  take(): [number, number, number][] {
    const ring = this.#ring();
    const all: [number, number, number][] = [];
    while (this.#consumed !== ring[2]) {
      const at = this.bytes(this.#frame).byteOffset + RING_START + (this.#consumed++ % RING_ENTRIES) * REQUEST;
      const response = new DataView(this.buffer, at, 16);
      all.push([response.getUint32(0, true), response.getUint8(8), response.getInt16(10, true)]);
    }
    ring[3] = this.#consumed + 1;
    return all;
  }

  /** A struct blkif_request. */
  static request(operation: number, id: number, sector: number, segments: readonly SegmentOf[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(REQUEST));
    view.setUint8(0, operation);
    view.setUint8(1, segments.length);
    view.setUint32(8, id, true);
    view.setUint32(16, sector >>> 0, true);
    view.setUint32(20, Math.floor(sector / 2 ** 32), true);
    segments.slice(0, 11).forEach((segment, i) => ParaFixture.segment(view, 24 + 8 * i, segment));
    return new Uint8Array(view.buffer);
  }

  /** A struct blkif_request_indirect. */
  static indirect(operation: number, id: number, sector: number, count: number, refs: readonly number[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(REQUEST));
    view.setUint8(0, 6);
    view.setUint8(1, operation);
    view.setUint16(2, count, true);
    view.setUint32(8, id, true);
    view.setUint32(16, sector, true);
    refs.forEach((ref, i) => view.setUint32(28 + 4 * i, ref, true));
    return new Uint8Array(view.buffer);
  }

  static segment(view: DataView, at: number, { ref, first = 0, last = 7 }: SegmentOf): void {
    view.setUint32(at, ref, true);
    view.setUint8(at + 4, first);
    view.setUint8(at + 5, last);
  }
}

/** What a file has at a sector. */
export const sectorsOf = (path: string, sector: number, count: number): Buffer =>
  readFileSync(path).subarray(sector * 512, (sector + count) * 512);
