import { describe, expect, it } from 'vitest';
import { guest, missing, ringside } from './ringside.ts';

/** The text screen that memtest86+ draws over the serial port: it places lines with CSI row;column H. */
function screen(output: string): string[] {
  const lines = Array.from({ length: 25 }, () => ' '.repeat(80));
  let row = 0;
  let column = 0;
  // oxlint-disable-next-line no-control-regex
  for (const [, place, , text] of output.matchAll(/\x1b\[((\d+;\d+)H|[^A-Za-z]*[A-Za-z])|([^\x1b]+)/g)) {
    const at = place === undefined ? null : /^(\d+);(\d+)H$/.exec(place);
    if (at) [row, column] = [Number(at[1]) - 1, Number(at[2]) - 1];
    if (text === undefined || row > 24) continue;
    lines[row] = (lines[row]!.slice(0, column) + text + lines[row]!.slice(column + text.length)).slice(0, 80);
    column += text.length;
  }
  return lines;
}

/** The number of the test in progress, or -1. */
const current = (output: string): number => Number(/#(\d+) +\[/.exec(screen(output)[3]!)?.[1] ?? -1);

const RUNS = ['bare', 'full'].flatMap((how) => ['memtest32.bin', 'memtest64.bin'].map((image) => ({ image, how })));

describe.each(RUNS)('memtest86+: $image, $how', ({ image, how }) => {
  it.skipIf(missing(image))('reaches its test loop and passes its first test', async () => {
    let checked = 0;
    const args = ['run', '--kernel', guest(image), '--append', 'console=ttyS0,115200', '--memory', '16M', '--timeout', '600'];
    if (how === 'full') args.push('--technique', 'full');
    const { stdout, stderr } = await ringside(args, {
      limit: 620,
      until: (output) => {
        if (output.length - checked < 200) return false;
        checked = output.length;
        return current(output) >= 1;
      },
    });
    expect(stdout, stderr).toContain('Memtest86+');
    expect(current(stdout), screen(stdout).join('\n')).toBeGreaterThanOrEqual(1);
    expect(screen(stdout)[8]).toMatch(/Errors: 0 /);
  });
});
