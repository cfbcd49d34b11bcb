import { describe, expect, it } from 'vitest';
import { fixture, testRing } from './fixture.ts';
import { Serial } from './uart16550.ts';

const BASE = 0x3f8;

function serial(capacity = 64) {
  const f = fixture();
  const output = testRing(capacity);
  const input = testRing(64);
  let notices = 0;
  const s = new Serial(f.buffer, 0, BASE, f.clock, f.line, { output, input, notify: () => notices++ });
  s.reset();
  const r = (n: number): number => s.readPort(BASE + n);
  const w = (n: number, value: number): void => s.writePort(BASE + n, 1, value);
  const type = (text: string): void => {
    input.write(new TextEncoder().encode(text));
    s.poll();
  };
  return { ...f, s, r, w, type, output, input, notices: () => notices };
}

const text = (data: Uint8Array): string => new TextDecoder().decode(data);

describe('16550A', () => {
  it('is recognized: scratch register, FIFOs, loopback of the modem lines', () => {
    const { r, w } = serial();
    w(7, 0x5a);
    expect(r(7)).toBe(0x5a);
    w(2, 1);
    expect(r(2) & 0xc0).toBe(0xc0);
    w(4, 0x1a); // loop, RTS, OUT2
    expect(r(6) & 0xf0).toBe(0x90);
    w(3, 0x80);
    w(0, 1);
    w(1, 0);
    expect([r(0), r(1)]).toEqual([1, 0]);
  });

  it('puts out what is written, and says so once', () => {
    const { w, r, output, notices } = serial();
    for (const c of 'hello') w(0, c.charCodeAt(0));
    expect(r(5) & 0x60).toBe(0x60);
    expect(notices()).toBe(1);
    expect(text(output.read())).toBe('hello');
    w(0, 0x21);
    expect(notices()).toBe(2);
  });

  it('is firmware’s until the guest uses it', () => {
    const { s, w, r, type, output, notices } = serial();
    w(3, 0x80); // the divisor latch does not stand in the way
    s.put(Uint8Array.of(0x41, 0x42));
    expect([text(output.read()), notices(), s.room()]).toEqual(['AB', 1, 64]);
    w(0, 1);
    w(3, 3);
    type('k');
    expect([s.take(), s.take(), s.claimed]).toEqual([0x6b, -1, false]);
    r(0); // nothing was there
    w(4, 0x10);
    w(0, 0x55); // a loopback test
    r(0);
    w(4, 3);
    expect(s.claimed).toBe(false);
    type('x');
    expect([r(0), s.claimed]).toEqual([0x78, true]);
    s.reset();
    expect(s.claimed).toBe(false);
    w(0, 0x21);
    expect(s.claimed).toBe(true);
  });

  it('raises THRE when it is enabled, when the register empties, and not after IIR was read', () => {
    const { w, r, line } = serial();
    w(4, 8);
    w(1, 2);
    expect(line.level).toBe(true);
    expect(r(2) & 0x0f).toBe(2);
    expect(line.level).toBe(false);
    w(0, 0x41);
    expect(line.level).toBe(true);
    expect(r(2) & 0x0f).toBe(2);
    expect(r(2) & 0x0f).toBe(1);
  });

  it('holds the guest back while the output ring is full, and loses nothing', () => {
    const { w, r, output, s, clock, line } = serial(16);
    w(2, 1);
    w(4, 8);
    const sent: number[] = [];
    let n = 0;
    // A driver: fills the FIFO of 16 whenever THRE is up.
    const drive = (): void => {
      while (n < 100 && r(5) & 0x20) for (let i = 0; i < 16 && n < 100; i++) w(0, n++);
    };
    drive();
    expect(n).toBe(32); // a ring and a FIFO full
    expect(r(5) & 0x60).toBe(0);
    expect(s.deadline()).toBeLessThan(Infinity);
    w(1, 2);
    expect(line.level).toBe(false);
    while (sent.length < 100) {
      sent.push(...output.read());
      clock.advance(1e6);
      if (s.deadline() <= clock.now()) s.tick(clock.now());
      drive();
    }
    expect(sent).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(s.deadline()).toBe(Infinity);
  });

  it('receives, in order, through the FIFO, with the rest waiting in the ring', () => {
    const { w, r, type } = serial();
    w(2, 1);
    w(4, 3);
    type('the quick brown fox');
    let got = '';
    while (r(5) & 1) got += String.fromCharCode(r(0));
    expect(got).toBe('the quick brown fox');
    expect(r(0)).toBe(0);
  });

  it('keeps what came early for the driver that sets up and clears the FIFO', () => {
    const { w, r, type } = serial();
    type('early');
    expect(r(5) & 1).toBe(0);
    w(3, 3);
    w(2, 7);
    w(4, 0x0b);
    let got = '';
    while (r(5) & 1) got += String.fromCharCode(r(0));
    expect(got).toBe('early');
  });

  it('gives it, too, to a program that looks for it without DTR and RTS', () => {
    const { w, r, type } = serial();
    w(3, 3);
    type('x');
    expect(r(5) & 1).toBe(1);
    expect(r(0)).toBe(0x78);
  });

  it('raises received data at the trigger level, or a timeout below it', () => {
    const { w, r, type, line, s, clock } = serial();
    w(2, 0x81); // trigger 8
    w(4, 0x0b);
    w(1, 1);
    type('abc');
    expect(line.level).toBe(false);
    clock.advance(1e6);
    s.tick(clock.now());
    expect(line.level).toBe(true);
    expect(r(2) & 0x0f).toBe(0x0c);
    expect(r(0)).toBe(0x61);
    expect(line.level).toBe(false);
    type('defghi');
    expect(r(2) & 0x0f).toBe(4);
    expect(line.level).toBe(true);
  });

  it('keeps its interrupt to itself without OUT2', () => {
    const { w, line, type } = serial();
    w(1, 1);
    w(4, 3);
    type('x');
    expect(line.level).toBe(false);
    w(4, 0x0b);
    expect(line.level).toBe(true);
  });

  it('loops data back, overrunning without a FIFO', () => {
    const { w, r, output } = serial();
    w(4, 0x10);
    w(0, 0x55);
    expect(r(5) & 1).toBe(1);
    w(0, 0x66);
    expect(r(5) & 2).toBe(2);
    expect(r(5) & 2).toBe(0);
    expect(r(0)).toBe(0x66);
    expect(output.available()).toBe(0);
  });

  it('tells of modem lines that changed', () => {
    const { w, r, line } = serial();
    w(4, 0x10);
    r(6);
    w(1, 8);
    w(4, 0x12); // RTS -> CTS
    expect(r(6)).toBe(0x11);
    w(4, 0x10);
    w(4, 8); // out of loopback: DCD, DSR, CTS come back
    expect(line.level).toBe(true);
    expect(r(2) & 0x0f).toBe(0);
    expect(r(6) & 0x0b).toBe(0x0b);
    expect(line.level).toBe(false);
  });
});
