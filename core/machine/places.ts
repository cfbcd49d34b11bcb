/** Where each device's state lies in machine memory: the same on every thread, from the layout and the board's options alone. */
import { ClockState } from '../bus/clock.ts';
import { Lines } from '../bus/lines.ts';
import { ringSize } from '../bus/ring.ts';
import { AcpiPm } from '../devices/acpi-pm.ts';
import { ApicState } from '../devices/apic.ts';
import { I8042 } from '../devices/i8042.ts';
import { I8254 } from '../devices/i8254.ts';
import { I8259 } from '../devices/i8259.ts';
import { IoApicState } from '../devices/ioapic.ts';
import { MC146818 } from '../devices/mc146818.ts';
import { Misc, TESTDEV_MMIO_SIZE, VideoMemory } from '../devices/misc.ts';
import { PciConfig, PciHostState } from '../devices/pci.ts';
import { Uart16550 } from '../devices/uart16550.ts';
import { VirtioPciState } from '../devices/virtio-pci.ts';
import { BiosState } from '../firmware/bios/layout.ts';
import type { Struct } from '../state/struct.ts';
import { paraPlaces, type ParaPlaces } from '../vmm/para/devices.ts';

/** Bytes of a console's rings. */
export const OUTPUT_RING = 1 << 16;
export const INPUT_RING = 1 << 12;
export const SERIALS_MAX = 4;
/** Virtio functions: disks, then the entropy source. */
export const DISKS_MAX = 8;

export interface Console {
  readonly state: number;
  /** Rings: the guest's output, and what it is to read. */
  readonly output: number;
  readonly input: number;
}

export interface Places {
  readonly clock: number;
  readonly lines: number;
  readonly pic: number;
  readonly pit: number;
  readonly ioapic: number;
  readonly apics: readonly number[];
  readonly rtc: number;
  readonly i8042: number;
  readonly misc: number;
  readonly pm: number;
  readonly pciHost: number;
  readonly hostBridge: number;
  readonly isaBridge: number;
  readonly virtio: readonly { readonly state: number; readonly config: number }[];
  readonly consoles: readonly Console[];
  readonly video: number;
  readonly testMemory: number;
  readonly bios: number;
  readonly para: ParaPlaces;
}

/** Places everything there could be, so that addresses do not depend on options; `devices` and `devicesEnd` from the layout. */
export function places(area: { readonly devices: number; readonly devicesEnd: number; readonly vcpus: number }): Places {
  let at = area.devices;
  const bytes = (size: number): number => {
    const start = Math.ceil(at / 64) * 64;
    at = start + size;
    if (at > area.devicesEnd) throw new RangeError('the devices outgrew their part of machine memory');
    return start;
  };
  const take = (s: Pick<Struct, 'size'>): number => bytes(s.size);
  return {
    clock: take(ClockState),
    lines: take(Lines),
    pic: take(I8259),
    pit: take(I8254),
    ioapic: take(IoApicState),
    apics: Array.from({ length: area.vcpus }, () => take(ApicState)),
    rtc: take(MC146818),
    i8042: take(I8042),
    misc: take(Misc),
    pm: take(AcpiPm),
    pciHost: take(PciHostState),
    hostBridge: take(PciConfig),
    isaBridge: take(PciConfig),
    virtio: Array.from({ length: DISKS_MAX + 1 }, () => ({ state: take(VirtioPciState), config: take(PciConfig) })),
    consoles: Array.from({ length: SERIALS_MAX }, () => ({
      state: take(Uart16550),
      output: bytes(ringSize(OUTPUT_RING)),
      input: bytes(ringSize(INPUT_RING)),
    })),
    video: bytes(VideoMemory.SIZE),
    testMemory: bytes(TESTDEV_MMIO_SIZE),
    bios: take(BiosState),
    para: paraPlaces(take),
  };
}
