/** Frames of the guest, as the VMM's services use them: the processor's part counts references and types (assembly/para_pages.ts). */
import { CPUS, Control, PAGE, Para, PGT_writable_page } from '../../state/index.ts';
import { EINVAL } from './errno.ts';

/** What of the processor is needed for it. */
export interface PageKeeper {
  /** Takes a reference to a frame of the guest's, and one to it as PGT_*; 0: it cannot be had as that. */
  getPageType(cpu: number, frame: number, type: number): number;
  /** Gives both back. */
  putPageType(cpu: number, frame: number): void;
  /** Gives a frame of the guest's back (decrease_reservation): 0, or a negative error. */
  releaseFrame(cpu: number, frame: number): number;
  /** Gives the guest a frame, zeroed; 0: there is none, or it has as many as it may. */
  allocateFrame(cpu: number): number;
  /** RAM page index, first and last byte that were written: makes code there stale. */
  invalidateCode(page: number, first: number, last: number): void;
}

export class Frames {
  readonly #data: DataView;
  readonly #ram: number;
  readonly #para;
  /** Set when there is a processor. */
  keeper: PageKeeper | undefined;

  constructor(buffer: ArrayBufferLike) {
    const control = Control.view(buffer, 0);
    this.#data = new DataView(buffer);
    this.#ram = control.ram;
    this.#para = Para.view(buffer, control.para);
  }

  /** Takes a reference to a frame as memory that is written: until `drop` it is no page table, and nobody else's. False: it cannot be had. */
  hold(frame: number): boolean {
    const { keeper } = this;
    return keeper !== undefined && this.exists(frame) && keeper.getPageType(CPUS, frame, PGT_writable_page) !== 0;
  }

  drop(frame: number): void {
    this.keeper?.putPageType(CPUS, frame);
  }

  /** Takes a frame from the guest: 0, or a negative error. */
  release(frame: number): number {
    return this.keeper && this.exists(frame) ? this.keeper.releaseFrame(CPUS, frame) : -EINVAL;
  }

  /** Gives it one: undefined if there is none for it. */
  allocate(): number | undefined {
    const frame = (this.keeper?.allocateFrame(CPUS) ?? 0) >>> 0;
    return frame === 0 ? undefined : frame;
  }

  /** Says which pseudo-physical frame a machine frame is to the guest. */
  setPseudoPhysical(frame: number, pseudoPhysical: bigint): void {
    this.#data.setBigUint64(this.#ram + this.#para.m2p * PAGE + 8 * frame, pseudoPhysical, true);
  }

  /** The VMM has written there. */
  written(frame: number, first: number, last: number): void {
    this.keeper?.invalidateCode(frame, first, last);
  }

  get count(): number {
    return this.#para.frames;
  }

  exists(frame: number): boolean {
    return Number.isInteger(frame) && frame >= 0 && frame < this.#para.frames;
  }

  /** Where a frame is in machine memory. */
  address(frame: number): number {
    return this.#ram + frame * PAGE;
  }
}
