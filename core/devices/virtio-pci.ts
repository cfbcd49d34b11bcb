/** Virtio over PCI, the modern interface (virtio 1.2, section 4.1), with INTx and MSI-X. */
import { BusError, type Device, type GuestMemory, type InterruptLine, type MmioDevice } from '../bus/device.ts';
import type { MmioMap } from '../bus/mmio.ts';
import { struct } from '../state/struct.ts';
import { PciFunction } from './pci.ts';
import { type Chain, QUEUE_MAX, QueueState, VirtQueue } from './virtqueue.ts';

const QUEUES = 2;
/** One for configuration changes, one for each queue. */
const VECTORS = QUEUES + 1;

export const VirtioPciState = struct('VirtioPci', {
  queues: [QueueState, QUEUES],
  deviceFeatureSelect: 'u32',
  driverFeatureSelect: 'u32',
  driverFeatures: ['u32', 2],
  /** Per vector: address low, address high, data, control. */
  msixTable: ['u32', 4 * VECTORS],
  msixPending: 'u32',
  queueSelect: 'u16',
  configVector: 'u16',
  status: 'u8',
  isr: 'u8',
  generation: 'u8',
  reserved: 'u8',
});

// Common configuration, section 4.1.4.3.
const DEVICE_FEATURE_SELECT = 0x00;
const DEVICE_FEATURE = 0x04;
const DRIVER_FEATURE_SELECT = 0x08;
const DRIVER_FEATURE = 0x0c;
const CONFIG_MSIX_VECTOR = 0x10;
const NUM_QUEUES = 0x12;
const DEVICE_STATUS = 0x14;
const CONFIG_GENERATION = 0x15;
const QUEUE_SELECT = 0x16;
const QUEUE_SIZE = 0x18;
const QUEUE_MSIX_VECTOR = 0x1a;
const QUEUE_ENABLE = 0x1c;
const QUEUE_NOTIFY_OFF = 0x1e;
const QUEUE_DESC = 0x20;
const QUEUE_DRIVER = 0x28;
const QUEUE_DEVICE = 0x30;

const STATUS_FEATURES_OK = 8;
const STATUS_DRIVER_OK = 4;
const STATUS_NEEDS_RESET = 64;
const VIRTIO_F_INDIRECT_DESC = 2 ** 28;
/** Bit 32. */
const VIRTIO_F_VERSION_1_HIGH = 1;
const ISR_QUEUE = 1;
const ISR_CONFIG = 2;
const NO_VECTOR = 0xffff;

const COMMON = 0x0000;
const ISR = 0x1000;
const DEVICE = 0x2000;
const NOTIFY = 0x3000;
const BAR_SIZE = 0x4000;
const NOTIFY_MULTIPLIER = 4;
const MSIX_BAR_SIZE = 0x1000;
const MSIX_PBA = 0x800;

const CAP_COMMON = 0x40;
const CAP_NOTIFY = 0x50;
const CAP_ISR = 0x64;
const CAP_DEVICE = 0x74;
const CAP_PCI_CFG = 0x84;
const CAP_MSIX = 0x98;
const MSIX_ENABLE = 0x8000;
const MSIX_MASK_ALL = 0x4000;

/** What a kind of virtio device adds to the transport. */
export interface VirtioModel {
  readonly name: string;
  /** Device type (virtio 1.2, section 5): 2 block, 4 entropy. */
  readonly type: number;
  readonly classCode: number;
  readonly queues: number;
  /** Feature bits 0 to 23. */
  readonly features: number;
  /** The device's own configuration, little-endian. */
  readonly config: Uint8Array;
  /** Serves a request; returns how many bytes it wrote into the writable part. */
  serve(queue: number, chain: Chain): number;
}

/** Delivers a message-signalled interrupt. */
export type SendMsi = (addressLow: number, addressHigh: number, data: number) => void;

const capability = (type: number, bar: number, offset: number, length: number, extra: readonly number[] = []): Uint8Array => {
  const bytes = new Uint8Array(16 + extra.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x09; // vendor-specific
  bytes[2] = bytes.length;
  bytes[3] = type;
  bytes[4] = bar;
  view.setUint32(8, offset, true);
  view.setUint32(12, length, true);
  bytes.set(extra, 16);
  return bytes;
};

export class VirtioPci implements Device, MmioDevice {
  readonly name: string;
  readonly function: PciFunction;
  readonly #s;
  readonly #queues: readonly VirtQueue[];
  readonly #model: VirtioModel;
  readonly #msi: SendMsi;
  readonly #note: (text: string) => void;

  constructor(
    buffer: ArrayBufferLike,
    addresses: { readonly state: number; readonly config: number },
    slot: number,
    model: VirtioModel,
    wiring: { memory: GuestMemory; line: InterruptLine; mmio: MmioMap; msi: SendMsi; note: (text: string) => void },
  ) {
    this.name = model.name;
    this.#s = VirtioPciState.view(buffer, addresses.state);
    this.#queues = this.#s.queues.map((state) => new VirtQueue(state, wiring.memory));
    this.#model = model;
    this.#msi = wiring.msi;
    this.#note = wiring.note;
    const f = new PciFunction(
      buffer,
      addresses.config,
      model.name,
      slot,
      {
        vendor: 0x1af4,
        device: 0x1040 + model.type,
        revision: 1,
        classCode: model.classCode,
        subsystemVendor: 0x1af4,
        subsystem: 0x1100,
        pin: 1,
      },
      wiring.line,
    );
    f.addMemory(0, BAR_SIZE, this, wiring.mmio);
    f.addMemory(
      1,
      MSIX_BAR_SIZE,
      {
        readMmio: (offset, size) => this.#readMsix(offset, size),
        writeMmio: (offset, size, value) => this.#writeMsix(offset, size, value),
      },
      wiring.mmio,
    );
    f.addCapability(CAP_COMMON, capability(1, 0, COMMON, 0x38));
    f.addCapability(CAP_NOTIFY, capability(2, 0, NOTIFY, NOTIFY_MULTIPLIER * QUEUES, [NOTIFY_MULTIPLIER, 0, 0, 0]));
    f.addCapability(CAP_ISR, capability(3, 0, ISR, 1));
    f.addCapability(CAP_DEVICE, capability(4, 0, DEVICE, Math.max(4, model.config.length)));
    const all: Record<number, number> = {};
    for (let at = 4; at < 20; at++) if (at < 5 || at >= 8) all[at] = 0xff;
    f.addCapability(CAP_PCI_CFG, capability(5, 0, 0, 0, [0, 0, 0, 0]), all);
    const msix = new Uint8Array(12);
    msix.set([0x11, 0, VECTORS - 1, 0, 1, 0, 0, 0, 1 | (MSIX_PBA & 0xff), MSIX_PBA >> 8, 0, 0]);
    f.addCapability(CAP_MSIX, msix, { 3: 0xc0 });
    f.onCapabilityRead = (offset) => this.#window(offset, false);
    f.onCapabilityWrite = (offset) => {
      this.#window(offset, true);
      if (offset >= CAP_MSIX) this.#flushPending();
    };
    this.function = f;
  }

  /** Power-on and the driver's reset; the PCI function resets itself with the bus. */
  reset(): void {
    const s = this.#s;
    for (const queue of this.#queues) queue.reset();
    s.deviceFeatureSelect = s.driverFeatureSelect = 0;
    s.driverFeatures.fill(0);
    s.queueSelect = s.status = s.isr = s.generation = s.reserved = 0;
    s.configVector = NO_VECTOR;
    this.function.setInterrupt(false);
  }

  /** With the bus: also what the driver's reset leaves alone. */
  powerOn(): void {
    this.#s.msixTable.fill(0);
    for (let i = 0; i < VECTORS; i++) this.#s.msixTable.set(4 * i + 3, 1);
    this.#s.msixPending = 0;
    this.reset();
  }

  readMmio(offset: number, size: number): number {
    if (offset < ISR) return this.#readCommon(offset, size);
    if (offset < DEVICE) {
      const value = this.#s.isr;
      this.#s.isr = 0;
      this.function.setInterrupt(false);
      return value;
    }
    if (offset < NOTIFY) {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.#model.config[offset - DEVICE + i] ?? 0);
      return value;
    }
    return 0;
  }

  writeMmio(offset: number, size: number, value: number): void {
    if (offset < ISR) this.#writeCommon(offset, size, value);
    else if (offset >= NOTIFY) this.#serve(Math.floor((offset - NOTIFY) / NOTIFY_MULTIPLIER));
  }

  #queue(): VirtQueue | undefined {
    const n = this.#s.queueSelect;
    return n < this.#model.queues ? this.#queues[n] : undefined;
  }

  #readCommon(offset: number, size: number): number {
    // Fields of 32 bits may be read in parts.
    const value = this.#common(offset & ~3) >>> (8 * (offset & 3));
    return size === 4 ? value : value & ((1 << (8 * size)) - 1);
  }

  /** Four bytes of the common configuration. */
  #common(offset: number): number {
    const s = this.#s;
    const q = this.#queue()?.state;
    switch (offset) {
      case DEVICE_FEATURE_SELECT:
        return s.deviceFeatureSelect;
      case DEVICE_FEATURE:
        return s.deviceFeatureSelect === 0
          ? this.#model.features + VIRTIO_F_INDIRECT_DESC
          : s.deviceFeatureSelect === 1
            ? VIRTIO_F_VERSION_1_HIGH
            : 0;
      case DRIVER_FEATURE_SELECT:
        return s.driverFeatureSelect;
      case DRIVER_FEATURE:
        return s.driverFeatureSelect < 2 ? s.driverFeatures.get(s.driverFeatureSelect) : 0;
      case CONFIG_MSIX_VECTOR: // and NUM_QUEUES
        return (s.configVector | (this.#model.queues << 16)) >>> 0;
      case DEVICE_STATUS: // and CONFIG_GENERATION, QUEUE_SELECT
        return (s.status | (s.generation << 8) | (s.queueSelect << 16)) >>> 0;
      case QUEUE_SIZE: // and QUEUE_MSIX_VECTOR
        return q ? (q.size | (q.msixVector << 16)) >>> 0 : 0;
      case QUEUE_ENABLE: // and QUEUE_NOTIFY_OFF
        return q ? (q.enable | (s.queueSelect << 16)) >>> 0 : 0;
      case QUEUE_DESC:
        return q ? q.desc % 2 ** 32 : 0;
      case QUEUE_DESC + 4:
        return q ? Math.floor(q.desc / 2 ** 32) : 0;
      case QUEUE_DRIVER:
        return q ? q.driver % 2 ** 32 : 0;
      case QUEUE_DRIVER + 4:
        return q ? Math.floor(q.driver / 2 ** 32) : 0;
      case QUEUE_DEVICE:
        return q ? q.device % 2 ** 32 : 0;
      case QUEUE_DEVICE + 4:
        return q ? Math.floor(q.device / 2 ** 32) : 0;
      default:
        return 0;
    }
  }

  #writeCommon(offset: number, _size: number, value: number): void {
    const s = this.#s;
    const q = this.#queue()?.state;
    const vector = value < VECTORS ? value : NO_VECTOR;
    switch (offset) {
      case DEVICE_FEATURE_SELECT:
        s.deviceFeatureSelect = value;
        return;
      case DRIVER_FEATURE_SELECT:
        s.driverFeatureSelect = value;
        return;
      case DRIVER_FEATURE:
        if (s.driverFeatureSelect < 2 && !(s.status & STATUS_FEATURES_OK)) s.driverFeatures.set(s.driverFeatureSelect, value);
        return;
      case CONFIG_MSIX_VECTOR:
        s.configVector = vector;
        return;
      case DEVICE_STATUS:
        this.#setStatus(value & 0xff);
        return;
      case QUEUE_SELECT:
        s.queueSelect = value;
        return;
      case NUM_QUEUES:
      case CONFIG_GENERATION:
      case QUEUE_NOTIFY_OFF:
        return;
    }
    if (!q) return;
    switch (offset) {
      case QUEUE_SIZE:
        if (value > 0 && value <= QUEUE_MAX && (value & (value - 1)) === 0) q.size = value;
        return;
      case QUEUE_MSIX_VECTOR:
        q.msixVector = vector;
        return;
      case QUEUE_ENABLE:
        q.enable = value & 1;
        return;
      case QUEUE_DESC:
        q.desc = q.desc - (q.desc % 2 ** 32) + value;
        return;
      case QUEUE_DESC + 4:
        q.desc = (q.desc % 2 ** 32) + value * 2 ** 32;
        return;
      case QUEUE_DRIVER:
        q.driver = q.driver - (q.driver % 2 ** 32) + value;
        return;
      case QUEUE_DRIVER + 4:
        q.driver = (q.driver % 2 ** 32) + value * 2 ** 32;
        return;
      case QUEUE_DEVICE:
        q.device = q.device - (q.device % 2 ** 32) + value;
        return;
      case QUEUE_DEVICE + 4:
        q.device = (q.device % 2 ** 32) + value * 2 ** 32;
        return;
    }
  }

  #setStatus(value: number): void {
    const s = this.#s;
    if (value === 0) {
      this.reset();
      return;
    }
    if (value & STATUS_FEATURES_OK && !(s.status & STATUS_FEATURES_OK)) {
      // Only what was offered, and version 1 always.
      const low = s.driverFeatures.get(0);
      const offered = this.#model.features + VIRTIO_F_INDIRECT_DESC;
      if ((low & ~offered) !== 0 || s.driverFeatures.get(1) !== VIRTIO_F_VERSION_1_HIGH) value &= ~STATUS_FEATURES_OK;
    }
    s.status = value;
  }

  /** The driver rang the bell of a queue. */
  #serve(n: number): void {
    const s = this.#s;
    const queue = n < this.#model.queues ? this.#queues[n] : undefined;
    if (!queue || !(s.status & STATUS_DRIVER_OK) || s.status & STATUS_NEEDS_RESET || !this.function.busMaster) return;
    try {
      let served = false;
      for (let chain = queue.take(); chain; chain = queue.take()) {
        const written = this.#model.serve(n, chain);
        queue.give(chain.head, written);
        served = true;
      }
      if (served && queue.wantsInterrupt) this.#interrupt(queue.state.msixVector, ISR_QUEUE);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      // The driver's fault (section 2.1.2): nothing more is done until it resets the device.
      this.#note(`${this.name}: ${error.message}`);
      s.status |= STATUS_NEEDS_RESET;
      this.#interrupt(s.configVector, ISR_CONFIG);
    }
  }

  #interrupt(vector: number, isr: number): void {
    const control = this.function.config.getUint16(CAP_MSIX + 2, true);
    if (!(control & MSIX_ENABLE)) {
      this.#s.isr |= isr;
      this.function.setInterrupt(true);
      return;
    }
    if (vector >= VECTORS) return;
    if (control & MSIX_MASK_ALL || this.#s.msixTable.get(4 * vector + 3) & 1) {
      this.#s.msixPending |= 1 << vector;
      return;
    }
    const t = this.#s.msixTable;
    this.#msi(t.get(4 * vector), t.get(4 * vector + 1), t.get(4 * vector + 2));
  }

  #flushPending(): void {
    const pending = this.#s.msixPending;
    if (pending === 0) return;
    this.#s.msixPending = 0;
    for (let vector = 0; vector < VECTORS; vector++) if (pending & (1 << vector)) this.#interrupt(vector, 0);
  }

  #readMsix(offset: number, size: number): number {
    let value = 0;
    if (offset < 16 * VECTORS) value = this.#s.msixTable.get(offset >> 2);
    else if (offset === MSIX_PBA) value = this.#s.msixPending;
    value >>>= 8 * (offset & 3);
    return size === 4 ? value : value & ((1 << (8 * size)) - 1);
  }

  #writeMsix(offset: number, size: number, value: number): void {
    if (offset >= 16 * VECTORS || size !== 4 || offset & 3) return;
    this.#s.msixTable.set(offset >> 2, value);
    this.#flushPending();
  }

  /** The configuration access capability: a window on the BAR through configuration space (section 4.1.4.9). */
  #window(offset: number, write: boolean): void {
    if (offset < CAP_PCI_CFG + 16 || offset >= CAP_PCI_CFG + 20) return;
    const c = this.function.config;
    const at = c.getUint32(CAP_PCI_CFG + 8, true);
    const length = c.getUint32(CAP_PCI_CFG + 12, true);
    if (c.getUint8(CAP_PCI_CFG + 4) !== 0 || (length !== 1 && length !== 2 && length !== 4) || at % length !== 0 || at + length > BAR_SIZE)
      return;
    if (write) {
      const value = c.getUint32(CAP_PCI_CFG + 16, true);
      this.writeMmio(at, length, length === 4 ? value : value & ((1 << (8 * length)) - 1));
    } else {
      c.setUint32(CAP_PCI_CFG + 16, this.readMmio(at, length), true);
    }
  }
}
