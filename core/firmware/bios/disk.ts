/**
 * INT 13h: the machine's disks, 0x80 and up, by cylinder, head and sector, and by block address (BIOS Enhanced Disk Drive Services, EDD-1.1).
 */
import { type BlockBackend, SECTOR } from '../../bus/block.ts';
import type { GuestMemory } from '../../bus/device.ts';
import { DS, ES } from '../../state/cpu.ts';
import { AX, BX, CX, DX, type Frame, SI } from './frame.ts';
import * as at from './layout.ts';

/** Status in AH. */
const OK = 0x00;
const INVALID = 0x01;
const WRITE_PROTECTED = 0x03;
const NOT_FOUND = 0x04;
const DMA_BOUNDARY = 0x09;
const CONTROLLER = 0x20;

const FIRST = 0x80;
const HEADS_MAX = 255;
const CYLINDERS_MAX = 1024;
/** A transfer goes through a buffer of so many sectors at a time. */
const CHUNK = 128;

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  /** Sectors in a track. */
  readonly sectors: number;
}

/**
 * The geometry that software on the disk counts with. A partition table says it: a partition ends at the last head and sector of a cylinder.
 * Without one it is the usual LBA-assisted translation by size.
 */
export function geometryOf(size: number, first: Uint8Array): Geometry {
  if (first[510] === 0x55 && first[511] === 0xaa) {
    for (let entry = 0x1be; entry < 0x1fe; entry += 16) {
      const heads = first[entry + 5]! + 1;
      const sectors = first[entry + 6]! & 63;
      const blocks = first[entry + 12]! | (first[entry + 13]! << 8) | (first[entry + 14]! << 16) | (first[entry + 15]! << 24);
      const active = first[entry]!;
      if ((active !== 0 && active !== 0x80) || first[entry + 4] === 0 || blocks === 0 || heads < 2 || heads > HEADS_MAX || sectors === 0)
        continue;
      return cut(size, heads, sectors);
    }
  }
  const sectors = 63;
  const heads = [16, 32, 64, 128].find((n) => size <= CYLINDERS_MAX * n * sectors) ?? HEADS_MAX;
  return cut(size, heads, sectors);
}

const cut = (size: number, heads: number, sectors: number): Geometry => ({
  cylinders: Math.max(1, Math.min(CYLINDERS_MAX, Math.floor(size / (heads * sectors)))),
  heads,
  sectors,
});

type Direction = 'read' | 'write' | 'verify';

export class Disks {
  readonly #memory: GuestMemory;
  readonly #disks: readonly BlockBackend[];
  readonly #note: (text: string) => void;
  readonly #geometries: (Geometry | undefined)[] = [];

  constructor(memory: GuestMemory, disks: readonly BlockBackend[], note: (text: string) => void) {
    this.#memory = memory;
    this.#disks = disks;
    this.#note = note;
  }

  /** Puts the first disk's first sector to where it starts. False: there is none, or it does not end with the signature. */
  loadBootSector(): boolean {
    const [disk] = this.#disks;
    if (!disk || this.#transfer(disk, 'read', 0, 1, at.BOOT_SECTOR).status !== OK) return false;
    return this.#memory.read16(at.BOOT_SECTOR + 510) === at.BOOTABLE;
  }

  call(f: Frame): void {
    const disk = this.#disks[f.low(DX) - FIRST];
    if (disk) return this.#serve(f, disk);
    switch (f.high(AX)) {
      case 0x01:
        return this.#end(f, this.#memory.read8(at.BDA_DISK_STATUS));
      case 0x00: // also resets what is not there
        return this.#end(f, f.low(DX) < FIRST ? OK : INVALID);
      case 0x08:
        if (f.low(DX) < FIRST) f.set(CX, 0);
        f.setHigh(DX, 0);
        f.setLow(DX, f.low(DX) < FIRST ? 0 : this.#disks.length);
        return this.#end(f, INVALID);
      case 0x15:
        // No such drive: that is an answer, not an error.
        this.#end(f, OK);
        return f.setHigh(AX, 0);
      default:
        return this.#end(f, INVALID);
    }
  }

  #end(f: Frame, status: number): void {
    this.#memory.write8(at.BDA_DISK_STATUS, status);
    f.setHigh(AX, status);
    f.carry(status !== OK);
  }

  #serve(f: Frame, disk: BlockBackend): void {
    switch (f.high(AX)) {
      case 0x00: // reset
      case 0x0c: // seek
      case 0x0d: // reset
      case 0x10: // ready?
      case 0x11: // recalibrate
      case 0x14: // diagnose
      case 0x47: // extended seek
        return this.#end(f, OK);
      case 0x01: {
        const status = this.#memory.read8(at.BDA_DISK_STATUS);
        f.setHigh(AX, status);
        return f.carry(status !== OK);
      }
      case 0x02:
        return this.#bySector(f, disk, 'read');
      case 0x03:
        return this.#bySector(f, disk, 'write');
      case 0x04:
        return this.#bySector(f, disk, 'verify');
      case 0x08: {
        const { cylinders, heads, sectors } = this.#geometry(disk);
        const last = cylinders - 1;
        f.set(AX, 0);
        f.set(CX, ((last & 0xff) << 8) | ((last >> 2) & 0xc0) | sectors);
        f.set(DX, ((heads - 1) << 8) | this.#disks.length);
        return this.#end(f, OK);
      }
      case 0x15:
        f.set(CX, disk.sectors >>> 16);
        f.set(DX, disk.sectors & 0xffff);
        this.#end(f, OK);
        return f.setHigh(AX, 3);
      case 0x41:
        if (f.get(BX) !== 0x55aa) return this.#end(f, INVALID);
        this.#end(f, OK);
        f.setHigh(AX, 0x21); // EDD-1.1
        f.set(BX, 0xaa55);
        return f.set(CX, 1); // access by disk address packet
      case 0x42:
        return this.#byPacket(f, disk, 'read');
      case 0x43:
        return this.#byPacket(f, disk, 'write');
      case 0x44:
        return this.#byPacket(f, disk, 'verify');
      case 0x48:
        return this.#parameters(f, disk);
      default:
        return this.#end(f, INVALID);
    }
  }

  #geometry(disk: BlockBackend): Geometry {
    const i = this.#disks.indexOf(disk);
    const known = this.#geometries[i];
    if (known) return known;
    const first = new Uint8Array(SECTOR);
    try {
      disk.read(0, first);
    } catch {
      // Whoever reads it is told.
    }
    return (this.#geometries[i] = geometryOf(disk.sectors, first));
  }

  #bySector(f: Frame, disk: BlockBackend, direction: Direction): void {
    const { heads, sectors } = this.#geometry(disk);
    const cylinder = f.high(CX) | ((f.low(CX) & 0xc0) << 2);
    const sector = f.low(CX) & 63;
    const head = f.high(DX);
    const count = f.low(AX);
    if (count === 0 || count > CHUNK || sector === 0 || sector > sectors || head >= heads) {
      f.setLow(AX, 0);
      return this.#end(f, INVALID);
    }
    const block = (cylinder * heads + head) * sectors + sector - 1;
    const { status, done } = this.#transfer(disk, direction, block, count, f.linear(ES, f.get(BX)));
    f.setLow(AX, done);
    this.#end(f, status);
  }

  /** The disk address packet at DS:SI: size, 0, blocks, buffer (offset, segment), first block; size 18h: a flat address at 10h. */
  #byPacket(f: Frame, disk: BlockBackend, direction: Direction): void {
    const packet = f.linear(DS, f.get(SI));
    if (!f.readable(packet, 16)) return this.#end(f, INVALID);
    const size = this.#memory.read8(packet);
    if (size < 16) return this.#end(f, INVALID);
    const count = this.#memory.read16(packet + 2);
    const offset = this.#memory.read16(packet + 4);
    const segment = this.#memory.read16(packet + 6);
    const block = this.#memory.read64(packet + 8);
    const isFlat = offset === 0xffff && segment === 0xffff && size >= 0x18 && f.readable(packet, 0x18);
    const address = isFlat ? this.#memory.read64(packet + 16) : segment * 16 + offset;
    const { status, done } = this.#transfer(disk, direction, block, count, address);
    if (status !== OK) f.write(packet + 2, Uint8Array.of(done & 0xff, done >> 8));
    this.#end(f, status);
  }

  /** The result buffer at DS:SI; its size comes in and goes out in its first word. */
  #parameters(f: Frame, disk: BlockBackend): void {
    const address = f.linear(DS, f.get(SI));
    const room = f.readable(address, 2) ? this.#memory.read16(address) : 0;
    if (room < 26) return this.#end(f, INVALID);
    const { cylinders, heads, sectors } = this.#geometry(disk);
    const data = new Uint8Array(room >= 30 ? 30 : 26);
    const view = new DataView(data.buffer);
    view.setUint16(0, data.length, true);
    view.setUint16(2, 0x0002, true); // the geometry is valid
    view.setUint32(4, cylinders, true);
    view.setUint32(8, heads, true);
    view.setUint32(12, sectors, true);
    view.setUint32(16, disk.sectors >>> 0, true);
    view.setUint32(20, Math.floor(disk.sectors / 2 ** 32), true);
    view.setUint16(24, SECTOR, true);
    if (room >= 30) view.setUint32(26, 0xffff_ffff, true); // no device parameter table
    this.#end(f, f.write(address, data) ? OK : INVALID);
  }

  #transfer(disk: BlockBackend, direction: Direction, block: number, count: number, address: number): { status: number; done: number } {
    if (block + count > disk.sectors) return { status: NOT_FOUND, done: 0 };
    if (direction === 'verify') return { status: OK, done: count };
    if (direction === 'write' && disk.readonly) return { status: WRITE_PROTECTED, done: 0 };
    if (!this.#isRam(address, count * SECTOR)) return { status: DMA_BOUNDARY, done: 0 };
    let done = 0;
    try {
      while (done < count) {
        const n = Math.min(CHUNK, count - done);
        const place = address + done * SECTOR;
        const data = new Uint8Array(n * SECTOR);
        if (direction === 'read') {
          disk.read(block + done, data);
          this.#memory.write(place, data);
        } else {
          data.set(this.#memory.bytes(place, data.length));
          disk.write(block + done, data);
        }
        done += n;
      }
    } catch (error) {
      this.#note(`INT 13h: ${error instanceof Error ? error.message : String(error)}`);
      return { status: CONTROLLER, done };
    }
    return { status: OK, done };
  }

  /** Not video memory, not ROM, nothing beyond. */
  #isRam(address: number, length: number): boolean {
    if (address < 0x10_0000 && address + length > 0xa0000) return false;
    try {
      this.#memory.bytes(address, length);
      return true;
    } catch {
      return false;
    }
  }
}
