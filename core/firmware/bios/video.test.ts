import { beforeEach, describe, expect, it } from 'vitest';
import { ES } from '../../state/cpu.ts';
import { biosMachine, DATA } from './fixture.ts';
import { AX, BP, BX, CX, DX } from './frame.ts';
import { WAIT_HALT, WAIT_NONE } from './layout.ts';
import { glyph } from './terminal.ts';

describe('INT 10h', () => {
  let m: ReturnType<typeof biosMachine>;
  const print = (text: string): void => {
    for (const c of text) m.call(0x10, { [AX]: 0x0e00 | c.charCodeAt(0), [BX]: 7 });
  };
  const move = (row: number, column: number): void => void m.call(0x10, { [AX]: 0x0200, [BX]: 0, [DX]: (row << 8) | column });
  const write = (code: number, count = 1, attribute = 7): void => void m.call(0x10, { [AX]: 0x0900 | code, [BX]: attribute, [CX]: count });
  const row = (n: number): string =>
    Array.from({ length: 80 }, (_, i) => glyph(m.screen[2 * (80 * n + i)]!))
      .join('')
      .trimEnd();
  beforeEach(() => {
    m = biosMachine();
  });

  it('prints plain lines as plain lines', () => {
    print('Loading\r\nmore ...');
    expect(m.shown()).toBe('Loading\r\nmore ...');
    expect([row(0), row(1)]).toEqual(['Loading', 'more ...']);
    m.call(0x10, { [AX]: 0x0300, [BX]: 0 });
    expect(m.frame.get(DX)).toBe(0x0108);
    print('\b\b\b');
    expect(m.shown()).toBe('');
    print('!');
    expect(m.shown()).toBe('\r\x1b[5C!');
  });

  it('prints character and cursor by turns, as loaders do, without movements', () => {
    [...'boot:'].forEach((c, i) => {
      write(c.charCodeAt(0));
      move(0, i + 1);
    });
    expect(m.shown()).toBe('boot:');
    move(1, 0);
    write(0x3e);
    expect(m.shown()).toBe('\r\n>');
  });

  it('scrolls', () => {
    for (let i = 0; i < 26; i++) print(`line ${i}\r\n`);
    expect([row(0), row(23), row(24)]).toEqual(['line 2', 'line 25', '']);
    expect(m.shown().split('\r\n')).toEqual([...Array.from({ length: 26 }, (_, i) => `line ${i}`), '']);
    m.call(0x10, { [AX]: 0x0601, [BX]: 0x0700, [CX]: 0, [DX]: 0x184f });
    expect(row(0)).toBe('line 3');
  });

  it('moves within what was drawn, in colours', () => {
    m.call(0x10, { [AX]: 0x0003 });
    write(0xda);
    move(3, 2);
    write(0x41, 2, 0x70);
    move(1, 1);
    write(0x42, 1, 0x1e);
    move(3, 4);
    write(0x43);
    expect(m.shown()).toBe('\x1b[J┌\r\n\r\n\r\n\x1b[2C\x1b[0;30;47mAA\x1b[2A\r\x1b[1C\x1b[0;1;33;44mB\x1b[2B\x1b[2C\x1b[0mC');
    move(3, 3);
    m.call(0x10, { [AX]: 0x0800 });
    expect(m.frame.get(AX)).toBe(0x7041);
  });

  it('clears screens and windows', () => {
    print('one\r\ntwo');
    m.shown();
    move(0, 0);
    write(0x20, 2000);
    expect(m.shown()).toBe('\x1b[1A\r\x1b[J');
    expect([row(0), row(1)]).toEqual(['', '']);
    print('abc');
    m.call(0x10, { [AX]: 0x0600, [BX]: 0x0700, [CX]: 0x0001, [DX]: 0x0001 });
    expect([m.shown(), row(0)]).toEqual(['abc\r\x1b[1C ', 'a c']);
    // Scrolling nonsense does nothing.
    m.call(0x10, { [AX]: 0x0601, [BX]: 0x0700, [CX]: 0x0505, [DX]: 0x0101 });
    m.call(0x10, { [AX]: 0x0701, [BX]: 0x0700, [CX]: 0x0000, [DX]: 0x0102 });
    expect([row(0), row(1)]).toEqual(['', 'a c']);
  });

  it('writes strings', () => {
    m.memory.write(DATA + 0x100, new TextEncoder().encode('hi\r\n!'));
    m.frame.setSegment(ES, DATA >> 4);
    m.call(0x10, { [AX]: 0x1301, [BX]: 7, [CX]: 5, [DX]: 0x0203, [BP]: 0x100 });
    expect([row(2), row(3)]).toEqual(['   hi', '!']);
    m.call(0x10, { [AX]: 0x1300, [BX]: 7, [CX]: 1, [DX]: 0, [BP]: 0x100 });
    m.call(0x10, { [AX]: 0x0300, [BX]: 0 });
    expect(m.frame.get(DX)).toBe(0x0301);
  });

  it('survives a cursor that is off the screen', () => {
    move(200, 200);
    print('x');
    write(0x79, 0xffff);
    expect(row(23).endsWith('x')).toBe(true);
  });

  it('waits for a terminal that is behind, and leaves one alone that the system uses', () => {
    m.terminal.space = 100;
    expect(m.call(0x10, { [AX]: 0x0e41, [BX]: 7 })).toBe(WAIT_HALT);
    expect([m.shown(), row(0)]).toEqual(['', '']);
    m.terminal.space = Infinity;
    expect(m.call(0x10, { [AX]: 0x0e41, [BX]: 7 })).toBe(WAIT_NONE);
    m.terminal.claimed = true;
    m.terminal.space = 0;
    expect(m.call(0x10, { [AX]: 0x0e42, [BX]: 7 })).toBe(WAIT_NONE);
    expect([m.shown(), row(0)]).toEqual(['A', 'AB']);
  });
});
