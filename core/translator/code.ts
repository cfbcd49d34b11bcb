/** Decoded code as the translator sees it: instructions, from records. */
import { handlerRow, handlerCount, isCallout, nativeHandler } from '../processor/handlers.ts';
import { families } from '../processor/semantics/index.ts';
import {
  BlockHeader, BranchTarget, CODE_64, CODE_HASH_ENTRIES, CodeHash, Control, HANDLER_COUNT, HANDLER_FIRST, PAGE, Record,
} from '../state/index.ts'; // prettier-ignore
import { EFFECTS } from './effects.ts';
import type { Instruction } from './region.ts';

const R = Record.offsets;

/** A block belongs to a region if it was entered at least this fraction of the times that make one hot. */
const WARM = 16;

const JUMPS = new Set(['jcc', 'jmp', 'call', 'loop', 'loope', 'loopne', 'jcxz']);
const STACK_OR_BRANCH = new Set([
  ...JUMPS, 'jmp_rm', 'call_rm', 'ret', 'push', 'push_imm', 'pop', 'leave', 'pusha', 'popa', 'enter',
]); // prettier-ignore

/** What the translator makes of a handler's instructions. */
type Kind = Pick<Instruction, 'row' | 'callout' | 'size' | 'memory' | 'end' | 'returns'> & { readonly jump: boolean };

const left = (returns: boolean): Kind => ({ row: undefined, callout: undefined, size: 0, memory: false, jump: false, end: true, returns });

function kindOf(handler: number, mode: number): Kind {
  const found = handler < HANDLER_FIRST ? undefined : handlerRow(handler);
  if (!found) return left(false);
  const { row } = found;
  const slot = nativeHandler(handler) - found.base;
  const callout = isCallout(handler) ? found.callout?.reason : undefined;
  const size = found.sizes[slot >> 1]!;
  if (row.helper) {
    const known = EFFECTS.has(row.helper);
    if (row.end && !known) return left(true);
    if (row.unit !== 'x87' && !known) return left(false);
  } else {
    if (!families[row.family]) return left(false);
    // Operand-size prefixes on stack operations and branches are too rare to be worth it.
    if (STACK_OR_BRANCH.has(row.family) && size !== (mode === CODE_64 ? 64 : 32)) return left(false);
    // PUSHA stores more than once: translated code may be left before an instruction, but not in its midst.
    if (row.family === 'undefined' || row.family === 'pusha') return left(false);
  }
  const jump = !row.helper && JUMPS.has(row.family);
  return { row: found, callout, size, memory: (slot & 1) === 1, jump, end: row.end && !row.helper, returns: false };
}

export class Code {
  readonly #view: DataView;
  readonly #control;
  /** By mode and handler, as far as met. */
  readonly #kinds: (Kind | undefined)[][] = [[], [], []];
  readonly #handlers = handlerCount();

  constructor(memory: WebAssembly.Memory) {
    this.#view = new DataView(memory.buffer);
    this.#control = Control.view(memory.buffer, 0);
  }

  /** The interpreter's handler of a record; 0 if it is stale. */
  handler(record: number): number {
    const now = this.#view.getUint32(record + R.handler, true);
    const replaced = now === HANDLER_COUNT || now >= this.#handlers;
    return replaced ? this.#view.getUint32(record - BlockHeader.size + BlockHeader.offsets.original, true) : now;
  }

  /** The first record of the block decoded at a RAM offset, or 0; or of one that is rarely executed: it would only make the region larger. */
  lookup(at: number, mode: number): number {
    const v = this.#view;
    const slot = this.#control.codeHash + ((at ^ (at >>> 14)) & (CODE_HASH_ENTRIES - 1)) * CodeHash.size;
    if (v.getUint32(slot, true) !== at || v.getUint32(slot + 4, true) !== mode + 1) return 0;
    const record = v.getUint32(slot + CodeHash.offsets.record, true);
    // A vCPU may have given the place to another block meanwhile.
    if (!this.#begins(record, at, mode) || this.handler(record) === 0) return 0;
    if (this.isTranslated(record)) return record;
    const entries = v.getInt32(record - BlockHeader.size + BlockHeader.offsets.entries, true);
    return entries >= this.#control.translateAfter / WARM ? record : 0;
  }

  /** Whether a region begins with a block's first record. */
  isTranslated(record: number): boolean {
    return this.#view.getUint32(record + R.handler, true) >= this.#handlers;
  }

  /** Whether a record is the first of the block at a RAM offset. */
  #begins(record: number, at: number, mode: number): boolean {
    const v = this.#view;
    const header = record - BlockHeader.size;
    return (
      v.getUint16(record + R.pageOffset, true) === at % PAGE &&
      v.getUint32(header + BlockHeader.offsets.page, true) === Math.floor(at / PAGE) &&
      v.getUint32(header + BlockHeader.offsets.mode, true) === mode
    );
  }

  /** `base`: the offset of the page that it is in. */
  instruction(record: number, mode: number, base: number): Instruction {
    const v = this.#view;
    const handler = this.handler(record);
    const { row, callout, size, memory, jump, end, returns } = (this.#kinds[mode]![handler] ??= kindOf(handler, mode));
    const offset = base + v.getUint16(record + R.pageOffset, true);
    const length = v.getUint8(record + R.length);
    const position = v.getUint8(record + R.position);
    const immediate = v.getInt32(record + R.immediate, true);
    const target = jump ? offset + length + immediate : undefined;
    return { record, handler, callout, offset, length, position, immediate, row, size, memory, target, end, returns };
  }

  /** Where a near return or indirect branch has gone, as distances from the beginning of its page; the last that came new is first. */
  targets(record: number): number[] {
    const v = this.#view;
    const { next, distance } = BranchTarget.offsets;
    const found: number[] = [];
    for (let at = v.getUint32(record + R.target, true); at !== 0; at = v.getUint32(at + next, true))
      found.push(v.getInt32(at + distance + 4, true) * 0x1_0000_0000 + v.getUint32(at + distance, true));
    return found;
  }
}
