/** What the BIOS works with: given by the board. */
import type { BlockBackend } from '../../bus/block.ts';
import type { Clock, GuestMemory } from '../../bus/device.ts';
import type { RamSize } from '../map.ts';
import type { CpuView } from '../state.ts';

/**
 * The serial port that stands in for screen and keyboard. Once a system uses the port itself it is that system's alone: nothing is then shown
 * twice, and no key goes astray.
 */
export interface FirmwareConsole {
  readonly claimed: boolean;
  /** Bytes that can be put out now. */
  room(): number;
  put(data: Uint8Array): void;
  /** The next byte that came in, or -1. */
  take(): number;
}

export interface BiosMachine {
  readonly buffer: ArrayBufferLike;
  /** Address of the BiosState. */
  readonly state: number;
  readonly memory: GuestMemory;
  readonly ram: RamSize;
  readonly clock: Clock;
  /** As the guest sees it: milliseconds since the epoch. */
  wallTime(): number;
  /** The vCPU that does the access. */
  current(): CpuView;
  readonly disks: readonly BlockBackend[];
  /** Absent: there is no serial port. */
  readonly console: FirmwareConsole | undefined;
  /** The text screen: 80 x 25 characters, each with its attribute, from 0xb8000. */
  readonly screen: Uint8Array;
  readPort(port: number): number;
  writePort(port: number, value: number): void;
  /** One line for the VM's log. */
  note(text: string): void;
}
