import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PacedWriter, PIECE } from './paced-writer.ts';
import type { Progress } from './paced-writer.ts';

function writer() {
  const sent: number[][] = [];
  const progress: (Progress | undefined)[] = [];
  const steps: (() => void)[] = [];
  const made = new PacedWriter(
    (data) => sent.push([...data]),
    (now) => progress.push(now),
    (step) => steps.push(step),
  );
  const tick = () => steps.shift()?.();
  const drain = () => {
    while (steps.length > 0) tick();
  };
  return { made, sent, progress, tick, drain };
}

it('sends what is typed at once', () => {
  const { made, sent, progress } = writer();
  made.write(Uint8Array.of(1));
  made.write(Uint8Array.of(2));
  expect(sent).toEqual([[1], [2]]);
  expect(progress).toEqual([]);
});

it('sends a paste in pieces with pauses, and keys typed meanwhile after it', () => {
  const { made, sent, progress, tick, drain } = writer();
  made.write(new Uint8Array(PIECE * 2 + 1).fill(7));
  expect(sent.length).toBe(1);
  made.write(Uint8Array.of(9));
  tick();
  expect(sent.length).toBe(2);
  drain();
  expect(sent.flat()).toEqual([...Array.from({ length: PIECE * 2 + 1 }, () => 7), 9]);
  expect(sent.at(-1)).toEqual([9]);
  expect(progress.at(-2)).toEqual({ done: PIECE * 2 + 2, total: PIECE * 2 + 2 });
  expect(progress.at(-1)).toBeUndefined();
});

it('loses and reorders nothing, whatever comes when', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 3 * PIECE }), fc.constant('tick' as const)), { maxLength: 20 }), (events) => {
      const { made, sent, tick, drain } = writer();
      for (const event of events) {
        if (event === 'tick') tick();
        else made.write(event);
      }
      drain();
      expect(sent.flat()).toEqual(events.filter((e) => e !== 'tick').flatMap((e) => [...e]));
      expect(sent.every((piece) => piece.length <= PIECE)).toBe(true);
    }),
  );
});

it('stops a paste, and takes up typing again', () => {
  const { made, sent, progress, drain } = writer();
  made.write(new Uint8Array(PIECE * 5));
  made.cancel();
  drain();
  expect(sent.length).toBe(1);
  expect(progress.at(-1)).toBeUndefined();
  made.write(Uint8Array.of(3));
  expect(sent.at(-1)).toEqual([3]);
});
