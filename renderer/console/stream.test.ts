import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleStream } from './stream.ts';

const bytes = (from: number, to: number) => Uint8Array.from({ length: to - from }, (_, i) => (from + i) & 0xff);

describe('ConsoleStream', () => {
  it('shows every byte once, wherever the answer falls among the events', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 }),
        fc.nat(12),
        fc.nat(12),
        fc.nat(40),
        (lengths, at, answered, limit) => {
          const pieces: { data: Uint8Array; end: number }[] = [];
          let end = 0;
          for (const length of lengths) {
            pieces.push({ data: bytes(end, end + length), end: end + length });
            end += length;
          }
          // The core answers with what was there after `answered` pieces; the answer arrives after `at` events.
          const stood = pieces[Math.min(answered, pieces.length) - 1]?.end ?? 0;
          const kept = { data: bytes(Math.max(0, stood - limit), stood), end: stood };
          // An event that the answer has not yet cannot have been missed.
          const arrives = Math.min(at, pieces.length);
          const shown: number[] = [];
          const stream = new ConsoleStream((data) => shown.push(...data));
          for (const [i, piece] of pieces.entries()) {
            if (i === arrives) stream.begin(kept);
            stream.live(piece);
          }
          if (arrives === pieces.length) stream.begin(kept);
          expect(shown).toEqual([...bytes(Math.max(0, stood - limit), end)]);
        },
      ),
    );
  });
});
