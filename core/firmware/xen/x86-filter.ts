/**
 * The x86 branch filter (.xz file format, 5.3.2, filter 0x04): before compression, the displacements of CALL and JMP rel32 (E8, E9) were made absolute
 * addresses, so that calls of the same function look alike. What an instruction is was guessed, by the same rules that undo it here.
 */

/** The top byte of a displacement that is taken for one: it goes no farther than 16 MiB. */
const near = (byte: number): boolean => byte === 0 || byte === 0xff;

/** Makes the addresses in `data`, which is at 0 for the filter, displacements again. */
export function undoX86Filter(data: Uint8Array): void {
  const v = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const end = data.length - 4;
  /** Which of the three bytes before were opcodes that were left as they were: bit 0 the last. */
  let before = 0;
  for (let at = 0; at < end; at++) {
    if ((data[at]! & 0xfe) !== 0xe8) {
      before = (before << 1) & 7;
      continue;
    }
    // How many bytes ago the first of them was: its displacement's top byte, and it, count for where this one may be a displacement's part.
    const ago = 32 - Math.clz32(before);
    const doubtful = before !== 0 && ((before & (before - 1)) !== 0 || near(data[at + 4 - ago]!));
    if (doubtful || !near(data[at + 4]!)) {
      before = ((before << 1) | 1) & 7;
      continue;
    }
    let from = v.getInt32(at + 1, true);
    let to: number;
    for (;;) {
      to = (from - (at + 5)) | 0;
      // The filter saw to it that the byte that it looked at first does not look near afterwards.
      if (before === 0 || !near((to >>> (24 - 8 * ago)) & 0xff)) break;
      from = to ^ (2 ** (32 - 8 * ago) - 1);
    }
    v.setInt32(at + 1, (to << 7) >> 7, true);
    at += 4;
    before = 0;
  }
}
