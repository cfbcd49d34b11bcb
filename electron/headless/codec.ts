/**
 * Messages between the headless server and its browser: JSON, in which each Uint8Array is `{"$bytes": [offset, length]}` of the bytes
 * that follow it. A frame is: length of the JSON (u32, little-endian), the JSON in UTF-8, the bytes.
 */
import type { CallError, EventName } from '../ipc.ts';

export type ToServer = { readonly type: 'call'; readonly id: number; readonly name: string; readonly args: unknown };
export type ToBrowser =
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: CallError }
  | { readonly type: 'event'; readonly event: EventName; readonly payload: unknown };

export function encode(message: ToServer | ToBrowser): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let total = 0;
  const json = new TextEncoder().encode(
    JSON.stringify(message, (_key, value: unknown) => {
      if (!(value instanceof Uint8Array)) return value;
      const place = [total, value.length];
      parts.push(value);
      total += value.length;
      return { $bytes: place };
    }),
  );
  const frame = new Uint8Array(4 + json.length + total);
  new DataView(frame.buffer).setUint32(0, json.length, true);
  frame.set(json, 4);
  let at = 4 + json.length;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** Throws if `frame` is not one. */
export function decode(frame: Uint8Array): unknown {
  if (frame.length < 4) throw new RangeError('the frame is too short');
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  if (4 + length > frame.length) throw new RangeError('the frame is cut off');
  const bytes = frame.subarray(4 + length);
  return JSON.parse(new TextDecoder().decode(frame.subarray(4, 4 + length)), (_key, value: unknown) => {
    const place = (value as { $bytes?: unknown } | null)?.$bytes;
    if (!Array.isArray(place)) return value;
    const [offset, size] = place as unknown[];
    if (typeof offset !== 'number' || typeof size !== 'number' || !(offset >= 0) || !(size >= 0) || offset + size > bytes.length) {
      throw new RangeError('the frame’s bytes are cut off');
    }
    return bytes.slice(offset, offset + size);
  });
}
