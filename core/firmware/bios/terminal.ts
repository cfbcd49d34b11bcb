/**
 * The text screen on a terminal at the serial port: characters in UTF-8, colours and movements as ECMA-48 sequences. All movement is relative,
 * so that it does not matter how many lines the terminal has beyond 25 nor what it showed before; what a program merely prints comes out
 * as plain lines.
 */
import type { View } from '../../state/struct.ts';
import type { BiosState } from './layout.ts';
import type { FirmwareConsole } from './machine.ts';

export const COLUMNS = 80;
export const ROWS = 25;
/** Light grey on black. */
export const NORMAL = 0x07;

const CONTROLS = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const UPPER =
  '⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** A character of code page 437 as it looks on the screen. */
export const glyph = (code: number): string =>
  code < 0x20 ? CONTROLS[code]! : code < 0x7f ? String.fromCharCode(code) : UPPER[code - 0x7f]!;

/** The display's colours (blue is bit 0) in the order of ECMA-48 (red is bit 0). */
const colour = (value: number): number => ((value & 1) << 2) | (value & 2) | ((value & 4) >> 2);

const encoder = new TextEncoder();

export class Terminal {
  readonly #console: FirmwareConsole | undefined;
  readonly #s: View<(typeof BiosState)['fields']>;

  constructor(console: FirmwareConsole | undefined, state: View<(typeof BiosState)['fields']>) {
    this.#console = console;
    this.#s = state;
  }

  get shown(): boolean {
    return this.#console !== undefined && !this.#console.claimed;
  }

  /** Moves the terminal's cursor. */
  move(row: number, column: number): void {
    const s = this.#s;
    if (s.row === row && s.column === column) return;
    let text = '';
    if (row < s.row) text += `\x1b[${s.row - row}A`;
    if (row > s.row && row <= s.bottom && column > 0) text += `\x1b[${row - s.row}B`;
    else if (row > s.row) {
      // A line that scrolls in would have the colours in force.
      this.colours(NORMAL);
      text += '\r\n'.repeat(row - s.row);
      s.column = 0;
      s.bottom = Math.max(s.bottom, row);
    }
    if (column === s.column - 1 && s.column < COLUMNS) text += '\b';
    else if (column < s.column) {
      text += '\r';
      s.column = 0;
    }
    if (column > s.column) text += `\x1b[${column - s.column}C`;
    s.row = row;
    s.column = column;
    this.#send(text);
  }

  colours(attribute: number): void {
    const s = this.#s;
    if (s.attribute === attribute) return;
    s.attribute = attribute;
    let codes = '0';
    if (attribute & 0x08) codes += ';1';
    if ((attribute & 0x07) !== NORMAL) codes += `;${30 + colour(attribute & 7)}`;
    if (attribute & 0x70) codes += `;${40 + colour((attribute >> 4) & 7)}`;
    this.#send(`\x1b[${codes}m`);
  }

  character(row: number, column: number, code: number, attribute: number): void {
    this.move(row, column);
    this.colours(attribute);
    this.#send(glyph(code));
    this.#s.column = column + 1;
  }

  /** The screen moves up by a line: what is at its top goes to the terminal's scrollback. */
  scroll(): void {
    if (this.#s.row !== ROWS - 1) this.move(ROWS - 1, 0);
    this.colours(NORMAL);
    this.#send('\r\n');
    this.#s.column = 0;
  }

  /** Everything from a place to the end of the screen becomes blank. */
  erase(row: number, column: number, attribute: number): void {
    this.move(row, column);
    this.colours(attribute);
    this.#send('\x1b[J');
    this.#s.bottom = row;
  }

  bell(): void {
    this.#send('\x07');
  }

  #send(text: string): void {
    if (text !== '' && this.shown) this.#console!.put(encoder.encode(text));
  }
}
