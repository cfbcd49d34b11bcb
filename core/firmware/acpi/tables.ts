/** ACPI tables (ACPI 6.4, 5.2) that describe the board of core/machine. */
import type { GuestMemory } from '../../bus/device.ts';
import { GPE0, GPE0_SIZE, PM1A_CONTROL, PM1A_EVENT, PM_TIMER, RESET_REGISTER, RESET_VALUE, S5_TYPE, SCI } from '../../devices/acpi-pm.ts';
import { APIC_BASE } from '../../devices/apic.ts';
import { IOAPIC_BASE } from '../../devices/ioapic.ts';
import { RTC_CENTURY } from '../../devices/mc146818.ts';
import { PCI_WINDOW, PCI_WINDOW_END, intxInterrupt } from '../../devices/pci.ts';
import { SERIAL_PORTS } from '../../devices/uart16550.ts';
import { ACPI_SIZE, type RamSize, usableEnd } from '../map.ts';
import * as aml from './aml.ts';

/** Where the RSDP lies: in the BIOS area that systems search. */
export const RSDP = 0xf0100;
export const PCI_SLOTS = 16;

export interface AcpiOptions extends RamSize {
  readonly vcpus: number;
  readonly serials: number;
}

const HEADER = 36;
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** A table with its header and checksum. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + body.length);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: string): void => bytes.set(new TextEncoder().encode(value), at);
  put(0, signature);
  view.setUint32(4, bytes.length, true);
  bytes[8] = revision;
  put(10, 'RNGSDE');
  put(16, 'RINGSIDE');
  view.setUint32(24, 1, true);
  put(28, 'RNGS');
  view.setUint32(32, 1, true);
  bytes.set(body, HEADER);
  bytes[9] = -sum(bytes) & 0xff;
  return bytes;
}

function dsdt(options: AcpiOptions): Uint8Array {
  const serials = SERIAL_PORTS.slice(0, options.serials).map(({ base, irq }, i) =>
    aml.device(
      `COM${i + 1}`,
      aml.name('_HID', aml.eisaId('PNP0501')),
      aml.name('_UID', aml.integer(i + 1)),
      aml.name('_STA', aml.integer(0xf)),
      aml.name('_CRS', aml.resources(aml.ioPorts(base, 8), aml.irq(irq))),
    ),
  );
  const routes: aml.Aml[] = [];
  for (let slot = 0; slot < PCI_SLOTS; slot++)
    for (let pin = 1; pin <= 4; pin++)
      routes.push(
        aml.pack(aml.integer(slot * 0x1_0000 + 0xffff), aml.integer(pin - 1), aml.integer(0), aml.integer(intxInterrupt(slot, pin))),
      );
  const code = [
    ...aml.name('\\_S5', aml.pack(aml.integer(S5_TYPE), aml.integer(S5_TYPE), aml.integer(0), aml.integer(0))),
    ...aml.scope(
      '\\_SB',
      aml.device(
        'PCI0',
        aml.name('_HID', aml.eisaId('PNP0A03')),
        aml.name('_ADR', aml.integer(0)),
        aml.name('_UID', aml.integer(0)),
        aml.name('_BBN', aml.integer(0)),
        aml.name(
          '_CRS',
          aml.resources(
            aml.busNumbers(0, 0xff),
            aml.ioPorts(0xcf8, 8),
            aml.ioWindow(0, 0xcf7),
            aml.ioWindow(0xd00, 0xffff),
            aml.memoryWindow(0xa0000, 0xbffff),
            aml.memoryWindow(PCI_WINDOW, PCI_WINDOW_END - 1),
          ),
        ),
        aml.name('_PRT', aml.pack(...routes)),
        aml.device(
          'ISA',
          aml.name('_ADR', aml.integer(0x1_0000)),
          aml.device('RTC', aml.name('_HID', aml.eisaId('PNP0B00')), aml.name('_CRS', aml.resources(aml.ioPorts(0x70, 2), aml.irq(8)))),
          aml.device(
            'KBD',
            aml.name('_HID', aml.eisaId('PNP0303')),
            aml.name('_STA', aml.integer(0xf)),
            aml.name('_CRS', aml.resources(aml.ioPorts(0x60, 1), aml.ioPorts(0x64, 1), aml.irq(1))),
          ),
          aml.device(
            'MOU',
            aml.name('_HID', aml.eisaId('PNP0F13')),
            aml.name('_STA', aml.integer(0xf)),
            aml.name('_CRS', aml.resources(aml.irq(12))),
          ),
          ...serials,
        ),
      ),
    ),
  ];
  return table('DSDT', 2, Uint8Array.from(code));
}

const FADT_WBINVD = 1 << 0;
const FADT_PROC_C1 = 1 << 2;
const FADT_SLP_BUTTON = 1 << 5;
const FADT_FIX_RTC = 1 << 6;
const FADT_RESET_REG_SUP = 1 << 10;
const BOOT_LEGACY_DEVICES = 1;
const BOOT_8042 = 2;
const BOOT_VGA_NOT_PRESENT = 4;

/** Revision 3; the power button is fixed hardware, the sleep button is absent, SMI_CMD is 0: always in ACPI mode. */
function fadt(facs: number, dsdtAt: number): Uint8Array {
  const bytes = new Uint8Array(244 - HEADER);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number): void => view.setUint32(at - HEADER, value, true);
  const u16 = (at: number, value: number): void => view.setUint16(at - HEADER, value, true);
  const u8 = (at: number, value: number): void => view.setUint8(at - HEADER, value);
  const address = (at: number, port: number, bits: number, access: number): void => {
    u8(at, 1); // system I/O
    u8(at + 1, bits);
    u8(at + 3, access);
    u32(at + 4, port);
  };
  u32(36, facs);
  u32(40, dsdtAt);
  u8(45, 1); // desktop
  u16(46, SCI);
  u32(56, PM1A_EVENT);
  u32(64, PM1A_CONTROL);
  u32(76, PM_TIMER);
  u32(80, GPE0);
  u8(88, 4);
  u8(89, 2);
  u8(91, 4);
  u8(92, GPE0_SIZE);
  u16(96, 0xfff); // no C2
  u16(98, 0xffff); // no C3
  u8(108, RTC_CENTURY);
  u16(109, BOOT_LEGACY_DEVICES | BOOT_8042 | BOOT_VGA_NOT_PRESENT);
  u32(112, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG_SUP);
  address(116, RESET_REGISTER, 8, 1);
  u8(128, RESET_VALUE);
  u32(132, facs);
  u32(140, dsdtAt);
  address(148, PM1A_EVENT, 32, 2);
  address(172, PM1A_CONTROL, 16, 2);
  address(208, PM_TIMER, 32, 3);
  address(220, GPE0, 8 * GPE0_SIZE, 1);
  return table('FACP', 3, bytes);
}

const LEVEL_HIGH = 0x0d;

function madt(vcpus: number): Uint8Array {
  const bytes: number[] = [];
  const d = (v: number): number[] => [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, (v >>> 24) & 0xff];
  bytes.push(...d(APIC_BASE), ...d(1)); // the PICs are there too
  for (let i = 0; i < vcpus; i++) bytes.push(0, 8, i, i, ...d(1));
  bytes.push(1, 12, 0, 0, ...d(IOAPIC_BASE), ...d(0));
  // ISA interrupt 0 is at pin 2; the SCI is level-triggered.
  bytes.push(2, 10, 0, 0, ...d(2), 0, 0);
  bytes.push(2, 10, 0, SCI, ...d(SCI), LEVEL_HIGH, 0);
  // LINT1 of every processor is NMI.
  bytes.push(4, 6, 0xff, 0, 0, 1);
  return table('APIC', 3, Uint8Array.from(bytes));
}

function pointers(signature: string, addresses: readonly number[], size: 4 | 8): Uint8Array {
  const bytes = new Uint8Array(addresses.length * size);
  const view = new DataView(bytes.buffer);
  addresses.forEach((address, i) => view.setUint32(i * size, address, true));
  return table(signature, 1, bytes);
}

/** Writes all tables; returns the address of the RSDP. */
export function writeAcpiTables(memory: GuestMemory, options: AcpiOptions): number {
  const start = usableEnd(options);
  const facs = start + ACPI_SIZE - 0x1000;
  let at = start;
  const place = (bytes: Uint8Array): number => {
    const here = at;
    if (here + bytes.length > facs) throw new RangeError('the ACPI tables outgrew their place');
    memory.write(here, bytes);
    at = Math.ceil((here + bytes.length) / 16) * 16;
    return here;
  };
  const facsBytes = new Uint8Array(64);
  facsBytes.set(new TextEncoder().encode('FACS'));
  facsBytes[4] = 64;
  facsBytes[32] = 1;
  memory.write(facs, facsBytes);

  const fadtAt = place(fadt(facs, place(dsdt(options))));
  const madtAt = place(madt(options.vcpus));
  const rsdt = place(pointers('RSDT', [fadtAt, madtAt], 4));
  const xsdt = place(pointers('XSDT', [fadtAt, madtAt], 8));

  const rsdp = new Uint8Array(36);
  const view = new DataView(rsdp.buffer);
  rsdp.set(new TextEncoder().encode('RSD PTR '));
  rsdp.set(new TextEncoder().encode('RNGSDE'), 9);
  rsdp[15] = 2;
  view.setUint32(16, rsdt, true);
  view.setUint32(20, 36, true);
  view.setUint32(24, xsdt, true);
  rsdp[8] = -sum(rsdp.subarray(0, 20)) & 0xff;
  rsdp[32] = -sum(rsdp) & 0xff;
  memory.write(RSDP, rsdp);
  return RSDP;
}
