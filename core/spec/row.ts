/**
 * x86 as data: one instruction is one line in the manual's notation (Intel SDM vol. 2, 3.1.1); the grammar is in docs/architecture.md.
 * Decoder, disassembler, feature gating, classes, the test generator and the support matrix read these rows.
 */

/** `v` 16/32/64 bits by operand size, `z` 16/32, `y` 32/64. */
export type Size = 8 | 16 | 32 | 64 | 80 | 128 | 'v' | 'z' | 'y' | 'none';

export type OperandKind =
  | 'rm' // modrm.rm: general register or memory
  | 'm' // modrm.rm: memory only
  | 'r' // modrm.reg, or the opcode's low bits where the row is "+r": general register
  | 'rr' // modrm.rm as a general register only
  | 'fixed' // a general register named by the row
  | 'one'
  | 'imm'
  | 'imms' // sign-extended to the operand size
  | 'rel'
  | 'moffs'
  | 'ptr' // selector:offset in the instruction
  | 'mptr' // selector:offset in memory
  | 'sreg'
  | 'cr'
  | 'dr'
  | 'xmm' // modrm.reg
  | 'xmmrm' // modrm.rm: XMM register or memory of `size` bits
  | 'xmm0'
  | 'mm'
  | 'mmrm'
  | 'st0'
  | 'sti'
  | 'implied'; // a segment register named by the row

export interface Operand {
  readonly text: string;
  readonly kind: OperandKind;
  readonly size: Size;
  /** For `fixed`: the register's number (AH is 4 with size 8). */
  readonly register: number;
}

/**
 * Popek and Goldberg's classes. Privileged: traps outside of ring 0 (IN, OUT, CLI and their like: outside of the rings up to IOPL, which
 * a VMM keeps at 0). Sensitive: sees or changes what a VMM must hide and does not trap (Robin and Irvine).
 */
export type InstructionClass = 'innocuous' | 'sensitive' | 'privileged';

export interface Row {
  readonly text: string;
  readonly mnemonic: string;
  readonly operands: readonly Operand[];
  /** 0 one-byte opcodes, 1 0F, 2 0F 38, 3 0F 3A. */
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  /** Mandatory prefix. */
  readonly prefix: 'NP' | '66' | 'F3' | 'F2' | undefined;
  readonly rexW: boolean;
  readonly modrm: boolean;
  /** modrm.reg must be this. */
  readonly digit: number | undefined;
  /** modrm.mod must be 3 ('r') or not 3 ('m'). */
  readonly form: 'r' | 'm' | undefined;
  /** modrm as a whole; with `plusI` its low three bits are free. */
  readonly fixedModrm: number | undefined;
  readonly plusI: boolean;
  /** The opcode's low three bits are a register. */
  readonly plusR: boolean;
  /** Immediate bytes in order, by the opcode column: 'b' 1, 'w' 2, 'd' 4, 'z' 2/4, 'v' 2/4/8, 'o' address size, 'p' far pointer. */
  readonly immediates: readonly string[];
  readonly lock: boolean;
  readonly i64: boolean;
  readonly o64: boolean;
  readonly d64: boolean;
  readonly f64: boolean;
  /** Comes in operand sizes though no operand says so. */
  readonly sized: boolean;
  readonly end: boolean;
  readonly class: InstructionClass;
  readonly io: boolean;
  readonly helper: string | undefined;
  /** Name of the semantic family. */
  readonly family: string;
  readonly needs: string | undefined;
  readonly unit: 'integer' | 'x87' | 'mmx' | 'simd';
}

const FIXED: Record<string, readonly [number, Size]> = {
  AL: [0, 8], CL: [1, 8], AH: [4, 8], AX: [0, 16], DX: [2, 16], rAX: [0, 'v'], eAX: [0, 'z'], EAX: [0, 32], RAX: [0, 64],
}; // prettier-ignore

function size(text: string, whole: string): Size {
  if (text === '') return 'none';
  if (text === 'v' || text === 'z' || text === 'y') return text;
  const n = Number(text);
  if (n === 8 || n === 16 || n === 32 || n === 64 || n === 80 || n === 128) return n;
  throw new Error(`row "${whole}": "${text}" is no operand size`);
}

function operand(text: string, whole: string): Operand {
  const make = (kind: OperandKind, s: Size, register = 0): Operand => ({ text, kind, size: s, register });
  if (FIXED[text]) return make('fixed', FIXED[text][1], FIXED[text][0]);
  if (text === '1') return make('one', 8);
  if (/^[ECSDFG]S$/.test(text)) return make('implied', 'none');
  if (text === 'Sreg') return make('sreg', 16);
  if (text === 'CRn') return make('cr', 'none');
  if (text === 'DRn') return make('dr', 'none');
  if (text === 'ST0') return make('st0', 80);
  if (text === 'STi') return make('sti', 80);
  if (text === 'xmm0') return make('xmm0', 128);
  let m: RegExpExecArray | null;
  if ((m = /^xmm(?:\/m(\d+))?$/.exec(text))) return m[1] ? make('xmmrm', size(m[1], whole)) : make('xmm', 128);
  if ((m = /^mm(?:\/m(\d+))?$/.exec(text))) return m[1] ? make('mmrm', size(m[1], whole)) : make('mm', 64);
  if (text === 'xmmrm') return make('xmmrm', 128);
  if ((m = /^rm(\d+|[vzy])$/.exec(text))) return make('rr', size(m[1]!, whole));
  if ((m = /^r(\d+|[vzy])?\/m(\d+|[vzy])$/.exec(text))) return make('rm', size(m[2]!, whole));
  if ((m = /^imm(\d+|[vzy])(s?)$/.exec(text))) return make(m[2] || m[1] === 'z' ? 'imms' : 'imm', size(m[1]!, whole));
  if ((m = /^rel(\d+|[vzy])$/.exec(text))) return make('rel', size(m[1]!, whole));
  if ((m = /^moffs(\d+|[vzy])$/.exec(text))) return make('moffs', size(m[1]!, whole));
  if ((m = /^ptr16:(\d+|[vzy])$/.exec(text))) return make('ptr', size(m[1]!, whole));
  if ((m = /^m16:(\d+|[vzy])$/.exec(text))) return make('mptr', size(m[1]!, whole));
  if ((m = /^m(\d+|[vzy])?(?:&\d+|fp|int|bcd)?$/.exec(text)))
    return make('m', /^(8|16|32|64|80|128|[vzy])?$/.test(m[1] ?? '') ? size(m[1] ?? '', whole) : 'none');
  if ((m = /^r(\d+|[vzy])$/.exec(text))) return make('r', size(m[1]!, whole));
  throw new Error(`row "${whole}": unknown operand "${text}"`);
}

/** Parses one row; throws with the row's text where it does not follow the grammar. */
export function parseRow(text: string): Row {
  const [opcodeText, name, attributeText = ''] = text.split('|').map((s) => s.trim());
  const space = name!.search(/\s/);
  const mnemonic = space < 0 ? name! : name!.slice(0, space);
  const operands = space < 0 ? [] : name!.slice(space).split(',').map((s) => operand(s.trim(), text)); // prettier-ignore
  const tokens: string[] = opcodeText!.split(/\s+/);
  let prefix: Row['prefix'];
  if (/^(NP|66|F3|F2)$/.test(tokens[0]!) && tokens.length > 1 && /^(REX\.W|[0-9A-F]{2})/.test(tokens[1]!))
    prefix = tokens.shift() as Row['prefix'];
  let rexW = false;
  if (tokens[0] === 'REX.W') {
    rexW = true;
    tokens.shift();
  }
  let map: Row['map'] = 0;
  const escape = (byte: string): boolean => tokens.length > 1 && tokens[0] === byte && Boolean(tokens.shift());
  if (escape('0F')) map = escape('38') ? 2 : escape('3A') ? 3 : 1;
  let opcode: number | undefined;
  let fixedModrm: number | undefined;
  let digit: number | undefined;
  let form: Row['form'];
  let plusI = false;
  let plusR = false;
  let modrm = false;
  const immediates: string[] = [];
  for (const t of tokens) {
    let m: RegExpExecArray | null;
    if ((m = /^([0-9A-F]{2})(\+r|\+i)?$/.exec(t))) {
      const byte = parseInt(m[1]!, 16);
      if (opcode === undefined) opcode = byte;
      else {
        fixedModrm = byte;
        modrm = true;
      }
      if (m[2] === '+r') plusR = true;
      if (m[2] === '+i') plusI = true;
    } else if (t === '/r') modrm = true;
    else if ((m = /^\/([0-7])$/.exec(t))) {
      digit = Number(m[1]);
      modrm = true;
    } else if (t === 'm' || t === 'r') form = t;
    else if ((m = /^[ic]([bwdzvop])$/.exec(t))) immediates.push(m[1]!);
    else throw new Error(`row "${text}": unknown token "${t}" in the opcode`);
  }
  if (opcode === undefined) throw new Error(`row "${text}": no opcode`);
  if (operands.some((o) => o.kind === 'm' || o.kind === 'mptr')) form ??= 'm';
  if (operands.some((o) => o.kind === 'rr')) form ??= 'r';
  if (fixedModrm !== undefined) form = 'r';
  const attributes = attributeText.split(/\s+/).filter(Boolean);
  const known = new Set(['lock', 'i64', 'o64', 'd64', 'f64', 'v', 'end', 'priv', 'sens', 'io', 'x87', 'mmx', 'simd']);
  const value = (key: string): string | undefined => attributes.find((a) => a.startsWith(`${key}=`))?.slice(key.length + 1);
  for (const a of attributes)
    if (!known.has(a) && !/^(helper|do|needs)=\S+$/.test(a)) throw new Error(`row "${text}": unknown attribute "${a}"`);
  const has = (a: string): boolean => attributes.includes(a);
  return {
    text,
    mnemonic,
    operands,
    map,
    opcode,
    prefix,
    rexW,
    modrm,
    digit,
    form,
    fixedModrm,
    plusI,
    plusR,
    immediates,
    lock: has('lock'),
    i64: has('i64'),
    o64: has('o64'),
    d64: has('d64'),
    f64: has('f64'),
    sized: has('v'),
    end: has('end'),
    class: has('sens') ? 'sensitive' : has('priv') || has('io') ? 'privileged' : 'innocuous',
    io: has('io'),
    helper: value('helper'),
    family: value('do') ?? mnemonic.toLowerCase(),
    needs: value('needs'),
    unit: has('x87') ? 'x87' : has('mmx') ? 'mmx' : has('simd') ? 'simd' : 'integer',
  };
}

/** Parses a text of rows, one a line; blank lines and lines that begin with # are skipped. */
export function parseRows(text: string): Row[] {
  return text
    .split('\n')
    .map((l) => l.trim())
    .filter((l) => l && !l.startsWith('#'))
    .map(parseRow);
}

/** The operand sizes that a row comes in: 0 where none of its operands depends on it. */
export function variants(row: Row): readonly (0 | 16 | 32 | 64)[] {
  const sizes = row.operands.map((o) => o.size);
  if (sizes.includes('v')) return row.i64 ? [16, 32] : [16, 32, 64];
  // Branches and stack operations: 64 bits wide in 64-bit mode, whatever their displacement's or immediate's size.
  if (row.f64 || row.d64) return [16, 32, 64];
  if (sizes.includes('z') || row.sized) return row.i64 ? [16, 32] : [16, 32, 64];
  if (sizes.includes('y')) return [32, 64];
  return [0];
}
