import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { builtinGuest } from './index.ts';

/** The version of gcc that the committed image was made with (build.sh names it too). */
const COMPILER = /^gcc \(Debian 12\.2\.0-14\+deb12u1\) /;

function compiler(): string {
  try {
    return execFileSync('gcc', ['--version'], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

describe('the built-in guest', async () => {
  const image = await builtinGuest();
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const u32 = (at: number): number => view.getUint32(at, true);
  const header = Array.from({ length: 2048 }, (_, i) => i * 4).find(
    (at) => u32(at) === 0x1bad_b002 && ((u32(at) + u32(at + 4) + u32(at + 8)) & 0xffff_ffff) === 0,
  )!;

  it('has a multiboot header with addresses in its first 8 KiB', () => {
    expect(header).toBeDefined();
    expect(u32(header + 4) & 0x1_0000).toBe(0x1_0000);
  });

  it('is loaded to the same places by the address fields and by the program headers', () => {
    const [headerAddress, load, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((field) => u32(header + field)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    expect(view.getUint32(0, false)).toBe(0x7f45_4c46);
    expect(view.getUint8(4)).toBe(2);
    expect(view.getBigUint64(24, true)).toBe(BigInt(entry));
    const table = Number(view.getBigUint64(32, true));
    const offset = header - (headerAddress - load);
    let at = load;
    let end = 0;
    for (let i = 0; i < view.getUint16(56, true); i++) {
      const segment = table + i * 56;
      const field = (n: number): number => Number(view.getBigUint64(segment + n, true));
      if (u32(segment) !== 1) continue;
      expect(field(24)).toBe(at);
      expect(field(8) - offset).toBe(at - load);
      at += field(32);
      end = field(24) + field(40);
    }
    expect(at).toBe(loadEnd);
    expect(end).toBe(bssEnd);
  });

  it('has the notes by which a loader of paravirtualized guests finds its way', () => {
    const PT_NOTE = 4;
    const notes = new Map<number, number>();
    for (let i = 0; i < view.getUint16(56, true); i++) {
      const header = Number(view.getBigUint64(32, true)) + i * 56;
      if (u32(header) !== PT_NOTE) continue;
      const end = u32(header + 8) + u32(header + 32);
      for (let at = u32(header + 8); at < end; at += 16 + ((u32(at + 4) + 3) & ~3)) notes.set(u32(at + 8), at + 16);
    }
    const address = (type: number): bigint => view.getBigUint64(notes.get(type)!, true);
    const [ENTRY, HYPERCALL_PAGE, VIRT_BASE, PADDR_OFFSET] = [1, 2, 3, 4] as const;
    expect(address(VIRT_BASE)).toBe(0xffff_ffff_8000_0000n);
    expect(address(PADDR_OFFSET)).toBe(0n);
    expect(address(HYPERCALL_PAGE) & 0xfffn).toBe(0n);
    expect(address(ENTRY)).toBe(address(HYPERCALL_PAGE) + 0x1000n);
  });

  it('holds no path of the machine that built it', () => {
    const text = new TextDecoder('latin1').decode(image);
    expect(text).not.toMatch(/\/(tmp|home|work|root|usr)\//);
  });

  it.skipIf(!COMPILER.test(compiler()))(
    'is what its source builds',
    () => {
      const script = fileURLToPath(new URL('./build.sh', import.meta.url));
      expect(execFileSync(script, ['--check'], { encoding: 'utf8' })).toContain('is what the source builds');
    },
    60_000,
  );
});
