/** What a disk controller needs of a disk's contents; where they are (a file, an overlay) is not its business. */

export const SECTOR = 512;

export interface BlockBackend {
  /** Size in sectors of 512 bytes. */
  readonly sectors: number;
  readonly readonly: boolean;
  /** Fills `into` (whole sectors) from `sector`. Throws if the host fails to. */
  read(sector: number, into: Uint8Array): void;
  /** Writes whole sectors. Throws if the host fails to, or if the disk is read-only. */
  write(sector: number, data: Uint8Array): void;
  /** Returns when all that was written is on stable storage. */
  flush(): void;
}
