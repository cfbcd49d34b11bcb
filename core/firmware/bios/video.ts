/** INT 10h: a text screen of 80 by 25 in mode 3, kept in video memory and shown on the terminal. */
import type { GuestMemory } from '../../bus/device.ts';
import { ES } from '../../state/cpu.ts';
import { AX, BP, BX, CX, DX, type Frame } from './frame.ts';
import * as at from './layout.ts';
import { COLUMNS, NORMAL, ROWS, type Terminal } from './terminal.ts';

const CELLS = COLUMNS * ROWS;
const MODE = 3;
const BELL = 7;
const BACKSPACE = 8;
const LINE_FEED = 10;
const RETURN = 13;
const BLANK = 0x20;

export class Video {
  readonly #memory: GuestMemory;
  readonly #screen: Uint8Array;
  readonly #terminal: Terminal;

  constructor(memory: GuestMemory, screen: Uint8Array, terminal: Terminal) {
    this.#memory = memory;
    this.#screen = screen;
    this.#terminal = terminal;
  }

  reset(): void {
    for (let cell = 0; cell < CELLS; cell++) this.#set(cell, BLANK, NORMAL);
  }

  /** Brings the terminal's cursor to where the screen's is: before someone types. */
  follow(): void {
    this.#terminal.move(...this.#cursor());
  }

  print(text: string): void {
    for (const c of text) this.#teletype(c.charCodeAt(0));
  }

  call(f: Frame): void {
    switch (f.high(AX)) {
      case 0x00:
        this.#clear(0, 0, ROWS - 1, COLUMNS - 1, NORMAL);
        this.#memory.write(at.BDA_CURSOR, new Uint8Array(16));
        f.setLow(AX, 0x30);
        return;
      case 0x01:
        return this.#memory.write16(at.BDA_CURSOR_SHAPE, f.get(CX));
      case 0x02:
        return this.#memory.write16(at.BDA_CURSOR + 2 * (f.high(BX) & 7), f.get(DX));
      case 0x03:
        f.set(AX, 0);
        f.set(CX, this.#memory.read16(at.BDA_CURSOR_SHAPE));
        f.set(DX, this.#memory.read16(at.BDA_CURSOR + 2 * (f.high(BX) & 7)));
        return;
      case 0x06:
      case 0x07:
        return this.#scrollWindow(f);
      case 0x08: {
        const cell = this.#cell();
        f.set(AX, this.#screen[2 * cell]! | (this.#screen[2 * cell + 1]! << 8));
        return;
      }
      case 0x09:
        return this.#repeat(f.low(AX), f.get(CX), f.low(BX));
      case 0x0a:
        return this.#repeat(f.low(AX), f.get(CX), undefined);
      case 0x0e:
        return this.#teletype(f.low(AX));
      case 0x0f:
        f.set(AX, (COLUMNS << 8) | MODE);
        f.setHigh(BX, 0);
        return;
      case 0x11:
        // Font information; the character generator's table itself is not there.
        if (f.low(AX) !== 0x30) return;
        f.set(CX, 16);
        f.setLow(DX, ROWS - 1);
        return;
      case 0x13:
        return this.#string(f);
      case 0x4f:
        // No VBE.
        f.set(AX, 0x0100);
        return;
    }
  }

  #cursor(): [number, number] {
    const place = this.#memory.read16(at.BDA_CURSOR);
    return [Math.min(place >> 8, ROWS - 1), Math.min(place & 0xff, COLUMNS - 1)];
  }

  #moveTo(row: number, column: number): void {
    this.#memory.write16(at.BDA_CURSOR, (row << 8) | column);
  }

  #cell(): number {
    const [row, column] = this.#cursor();
    return row * COLUMNS + column;
  }

  #set(cell: number, code: number, attribute: number): void {
    this.#screen[2 * cell] = code;
    this.#screen[2 * cell + 1] = attribute;
  }

  #put(cell: number, code: number, attribute: number | undefined): void {
    const shown = attribute ?? (this.#screen[2 * cell + 1]! || NORMAL);
    this.#set(cell, code, shown);
    this.#terminal.character(Math.floor(cell / COLUMNS), cell % COLUMNS, code, shown);
  }

  #teletype(code: number, attribute?: number): void {
    let [row, column] = this.#cursor();
    if (code === BELL) return this.#terminal.bell();
    if (code === BACKSPACE) column = Math.max(0, column - 1);
    else if (code === RETURN) column = 0;
    else if (code === LINE_FEED) row++;
    else {
      this.#put(row * COLUMNS + column, code, attribute);
      if (++column === COLUMNS) {
        column = 0;
        row++;
      }
    }
    if (row === ROWS) {
      this.#scrollUp();
      row--;
    } else if (code === LINE_FEED) {
      // Lines are to be complete at once; a carriage return waits for what follows it.
      this.#terminal.move(row, 0);
    }
    this.#moveTo(row, column);
  }

  #scrollUp(): void {
    this.#terminal.scroll();
    this.#screen.copyWithin(0, 2 * COLUMNS, 2 * CELLS);
    for (let cell = CELLS - COLUMNS; cell < CELLS; cell++) this.#set(cell, BLANK, NORMAL);
  }

  /** Writes characters from the cursor on and leaves the cursor. */
  #repeat(code: number, count: number, attribute: number | undefined): void {
    const first = this.#cell();
    const end = Math.min(CELLS, first + count);
    if (count === 1) return this.#put(first, code, attribute);
    if (code === BLANK && end === CELLS && attribute !== undefined) {
      for (let cell = first; cell < end; cell++) this.#set(cell, BLANK, attribute);
      return this.#terminal.erase(Math.floor(first / COLUMNS), first % COLUMNS, attribute);
    }
    for (let cell = first; cell < end; cell++) {
      const same = this.#screen[2 * cell] === code && (attribute ?? this.#screen[2 * cell + 1]) === this.#screen[2 * cell + 1];
      if (!same) this.#put(cell, code, attribute);
    }
  }

  #clear(top: number, left: number, bottom: number, right: number, attribute: number): void {
    for (let row = top; row <= bottom; row++)
      for (let column = left; column <= right; column++) this.#set(row * COLUMNS + column, BLANK, attribute);
    if (left === 0 && right === COLUMNS - 1 && bottom === ROWS - 1) this.#terminal.erase(top, 0, attribute);
    else this.#redraw(top, left, bottom, right);
  }

  #redraw(top: number, left: number, bottom: number, right: number): void {
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const cell = row * COLUMNS + column;
        this.#terminal.character(row, column, this.#screen[2 * cell]!, this.#screen[2 * cell + 1]!);
      }
    }
  }

  #scrollWindow(f: Frame): void {
    const [top, left] = [f.high(CX), f.low(CX)];
    const bottom = Math.min(f.high(DX), ROWS - 1);
    const right = Math.min(f.low(DX), COLUMNS - 1);
    if (top > bottom || left > right) return;
    const height = bottom - top + 1;
    const attribute = f.high(BX);
    const lines = f.low(AX);
    if (lines === 0 || lines >= height) return this.#clear(top, left, bottom, right, attribute);
    const up = f.high(AX) === 0x06;
    if (up && height === ROWS && left === 0 && right === COLUMNS - 1 && !(attribute & 0x70)) {
      for (let i = 0; i < lines; i++) this.#scrollUp();
      return;
    }
    const width = 2 * (right - left + 1);
    for (let i = 0; i < height - lines; i++) {
      const to = up ? top + i : bottom - i;
      const from = up ? to + lines : to - lines;
      this.#screen.copyWithin(2 * (to * COLUMNS + left), 2 * (from * COLUMNS + left), 2 * (from * COLUMNS + left) + width);
    }
    for (let i = 0; i < lines; i++) {
      const row = up ? bottom - i : top + i;
      for (let column = left; column <= right; column++) this.#set(row * COLUMNS + column, BLANK, attribute);
    }
    this.#redraw(top, left, bottom, right);
  }

  /** AH=13h: AL bit 0: the cursor moves; bit 1: attributes are in the string. */
  #string(f: Frame): void {
    const before = this.#memory.read16(at.BDA_CURSOR);
    const mode = f.low(AX);
    const each = mode & 2 ? 2 : 1;
    const length = Math.min(f.get(CX), CELLS) * each;
    const address = f.linear(ES, f.get(BP));
    if (!f.readable(address, length)) return;
    const text = this.#memory.bytes(address, length).slice();
    this.#memory.write16(at.BDA_CURSOR, f.get(DX));
    for (let i = 0; i < text.length; i += each) this.#teletype(text[i]!, each === 2 ? text[i + 1] : f.low(BX));
    if (!(mode & 1)) this.#memory.write16(at.BDA_CURSOR, before);
  }
}
