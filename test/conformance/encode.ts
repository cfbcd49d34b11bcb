/**
 * Turns a row and a choice of operands into bytes (SDM vol. 2, chapter 2). It shares nothing with the decoder, which it tests.
 */
import { variants, type Operand, type Row } from '../../core/spec/index.ts';
import { BRANCH, CODE, OPERAND, STACK_MIDDLE, WINDOW, type Mode } from './image.ts';
import { Rng } from './rng.ts';

/** A row in one mode, operand size and form: what vectors are filed under. */
export interface Form {
  readonly name: string;
  readonly row: Row;
  readonly mode: Mode;
  /** Operand size in bits where the row comes in several, else 0. */
  readonly size: 0 | 16 | 32 | 64;
  readonly memory: boolean;
}

/** A form with its registers, addressing and immediates chosen. */
export interface Encoding {
  readonly bytes: Uint8Array;
  /** Values that registers must have for the addressing to reach the operand: [register, low, high]. */
  readonly pointers: readonly (readonly [number, number, number])[];
  /** modrm.reg (with REX.R), or the opcode's register; modrm.rm where it is a register. -1: none. */
  readonly reg: number;
  readonly rm: number;
  /** Immediates in order. */
  readonly immediates: readonly number[];
  /** Offset of the memory operand in the window. */
  readonly operand: number;
}

/** Different encodings of a form, and operand sets for each: over 100 in all. */
export const ENCODINGS = 16;
export const SETS = 7;

/** All forms of a row in a mode. */
export function formsOf(row: Row, mode: Mode): Form[] {
  if (mode === 64 ? row.i64 : row.o64 || row.rexW) return [];
  const sizes = variants(row).filter((size) => {
    if (mode === 32) return size !== 64;
    if ((row.d64 || row.f64) && size === 32) return false;
    return true;
  });
  const out: Form[] = [];
  for (const size of sizes) {
    // A 16-bit branch leaves the code's 64 KiB, and in 64-bit mode AMD and Intel disagree on it.
    if (size === 16 && /^(J|CALL|RET|LOOP)/.test(row.mnemonic)) continue;
    // BSWAP of a 16-bit register is undefined.
    if (size === 16 && row.mnemonic === 'BSWAP') continue;
    const name = (kind: string): string =>
      `${mode} ${row.text.split('|').slice(0, 2).join('|').replace(/\s+/g, ' ').trim()}${size ? ` :${size}` : ''}${kind}`;
    const rm = row.modrm && row.fixedModrm === undefined;
    if (!rm) out.push({ name: name(''), row, mode, size, memory: row.operands.some((o) => o.kind === 'moffs') });
    else {
      if (row.form !== 'm') out.push({ name: name(' reg'), row, mode, size, memory: false });
      if (row.form !== 'r') out.push({ name: name(' mem'), row, mode, size, memory: true });
    }
  }
  return out;
}

/** Instructions that take REP. */
export const STRING = /^(MOVS|CMPS|STOS|LODS|SCAS)[BWDQ]?$/;

const bytesOf = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
const signed = (value: number, bytes: number): number[] =>
  bytes === 8 ? [...bytesOf(value >>> 0, 4), ...(value < 0 ? [255, 255, 255, 255] : [0, 0, 0, 0])] : bytesOf(value >>> 0, bytes);

const COUNTS = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255];
const IMMEDIATES8 = [0, 1, 0x7f, 0x80, 0xff, 0x0f, 0xf0, 0x55, 0xaa];
const IMMEDIATES = [0, 1, -1, 0x7f, 0x80, 0xff, 0x7fff, -0x8000, 0xffff, 0x7fffffff, -0x80000000];

interface Address {
  readonly mod: number;
  readonly rm: number;
  readonly sib?: number;
  readonly rexX: number;
  readonly rexB: number;
  readonly displacement: readonly number[];
  readonly pointers: [number, number, number][];
  readonly prefix: readonly number[];
  /** RIP-relative: the displacement depends on the instruction's length. */
  readonly relative?: number;
}

/** The n-th way to address the guest-linear `target`; `rng` chooses registers. */
function address(n: number, target: number, mode: Mode, rng: Rng): Address {
  const plain = mode === 64 ? [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 14, 15] : [0, 1, 2, 3, 6, 7];
  const base = rng.pick(plain);
  const none = { rexX: 0, rexB: base >> 3, prefix: [] as number[], displacement: [] as number[] };
  const small = rng.below(200) - 100;
  switch (n % 9) {
    case 0:
      return { ...none, mod: 0, rm: base & 7, pointers: [[base, target, 0]] };
    case 1:
      return { ...none, mod: 1, rm: base & 7, displacement: signed(small, 1), pointers: [[base, target - small, 0]] };
    case 2: {
      // base + index * scale + disp32: a big displacement, so that it must be sign-extended and wrapped
      const index = rng.pick(plain.filter((r) => r !== base));
      const scale = rng.below(4);
      const value = rng.below(9);
      const displacement = -0x40000000 + rng.below(1000);
      const rest = target - displacement - (value << scale);
      return {
        ...none,
        mod: 2,
        rm: 4,
        sib: (scale << 6) | ((index & 7) << 3) | (base & 7),
        rexX: index >> 3,
        displacement: signed(displacement, 4),
        pointers: [
          [base, rest >>> 0, 0],
          [index, value, 0],
        ],
      };
    }
    case 3:
      return mode === 64
        ? { ...none, rexB: 0, mod: 0, rm: 4, sib: 0x25, displacement: signed(target, 4), pointers: [] }
        : { ...none, rexB: 0, mod: 0, rm: 5, displacement: signed(target, 4), pointers: [] };
    case 4:
      // RIP-relative, or [disp32]
      return mode === 64
        ? { ...none, rexB: 0, mod: 0, rm: 5, displacement: [0, 0, 0, 0], pointers: [], relative: target }
        : { ...none, rexB: 0, mod: 0, rm: 4, sib: 0x25, displacement: signed(target, 4), pointers: [] };
    case 5: {
      // EBP/R13 as the base needs a displacement
      const register = mode === 64 && rng.one(2) ? 13 : 5;
      return { ...none, rexB: register >> 3, mod: 1, rm: 5, displacement: signed(small, 1), pointers: [[register, target - small, 0]] };
    }
    case 6:
      // ESP as the base needs a SIB byte
      return { ...none, rexB: 0, mod: 2, rm: 4, sib: 0x24, displacement: signed(target - STACK_MIDDLE, 4), pointers: [] };
    case 7: {
      const scale = rng.below(4);
      const value = 1 + rng.below(20);
      return {
        ...none,
        rexB: 0,
        rexX: base >> 3,
        mod: 0,
        rm: 4,
        sib: (scale << 6) | ((base & 7) << 3) | 5,
        displacement: signed(target - (value << scale), 4),
        pointers: [[base, value, 0]],
      };
    }
    default:
      // 32-bit addresses in 64-bit mode ignore the register's upper half
      return mode === 64
        ? { ...none, mod: 0, rm: base & 7, prefix: [0x67], pointers: [[base, target, 0x12345678]] }
        : { ...none, mod: 2, rm: base & 7, displacement: signed(-0x1000, 4), pointers: [[base, target + 0x1000, 0]] };
  }
}

/** Low byte registers by REX, or AH..BH without it. */
const eight = (rng: Rng, rex: boolean): number => (rex ? rng.pick([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]) : rng.below(8));

function register(operand: Operand | undefined, mode: Mode, rex: boolean, rng: Rng): number {
  if (operand === undefined) return 0;
  if (operand.kind === 'mm' || operand.kind === 'mmrm') return rng.below(8);
  if (operand.kind === 'xmm' || operand.kind === 'xmmrm') return rng.below(mode === 64 ? 16 : 8);
  if (operand.size === 8) return eight(rng, rex);
  const choice = rng.below(mode === 64 ? 16 : 8);
  return choice === 4 ? 2 : choice;
}

/** Bytes of the immediate that `letter` of the opcode column stands for. */
const immediateOf = (form: Form, letter: string, rng: Rng, n: number): number[] => {
  const { row, mode, size } = form;
  const shift = /^(RO[LR]|RC[LR]|S[HA][LR]D?|BT[SRC]?|PS[LR][LA].*)$/.test(row.mnemonic);
  if (row.mnemonic === 'ENTER') return letter === 'w' ? bytesOf(rng.below(64), 2) : [rng.below(4) | (rng.one(4) ? 0x20 : 0)];
  if (row.mnemonic === 'RET') return bytesOf(rng.below(48), 2);
  switch (letter) {
    case 'b':
      return [shift ? COUNTS[n % COUNTS.length]! : rng.one(2) ? IMMEDIATES8[n % IMMEDIATES8.length]! : rng.below(256)];
    case 'w':
      return bytesOf(rng.one(2) ? rng.pick(IMMEDIATES) >>> 0 : rng.u32(), 2);
    case 'o':
      return signed(WINDOW + OPERAND, mode === 64 ? 8 : 4);
    default: {
      const bytes = letter === 'v' && size === 64 ? 8 : size === 16 && letter !== 'd' ? 2 : 4;
      const low = rng.one(2) ? rng.pick(IMMEDIATES) >>> 0 : rng.u32();
      return bytes === 8 ? [...bytesOf(low, 4), ...bytesOf(rng.u32(), 4)] : bytesOf(low, bytes);
    }
  }
};

/** The n-th encoding of a form, always the same. */
export function encode(form: Form, n: number): Encoding {
  const { row, mode, size } = form;
  const rng = new Rng(`${form.name} encoding ${n}`);
  const prefixes: number[] = [];
  const operand = OPERAND + (n === 13 ? 1 : n === 14 ? 8 : 0);
  const target = WINDOW + operand;
  let rexW = row.rexW || (mode === 64 && size === 64 && !row.d64 && !row.f64);
  let wantsRex = mode === 64 && rng.one(2);
  const inReg = row.operands.find((o) => o.kind === 'r' || o.kind === 'xmm' || o.kind === 'mm');
  const inRm = row.operands.find((o) => o.kind === 'rm' || o.kind === 'rr' || o.kind === 'xmmrm' || o.kind === 'mmrm');
  // MOVNTI r64 and the like: a fixed 64-bit general operand needs no more than the row says.
  if (row.operands.some((o) => o.size === 'y') && size === 64) rexW = true;
  if (mode === 64 && rexW) wantsRex = true;

  let reg = register(inReg, mode, wantsRex, rng);
  let rm = -1;
  let mod = -1;
  let place: Address | undefined;
  let rexB = 0;
  const opcode = [...(row.map > 0 ? [0x0f] : []), ...(row.map === 2 ? [0x38] : row.map === 3 ? [0x3a] : []), row.opcode];
  if (row.plusR) {
    opcode[opcode.length - 1]! |= reg & 7;
    rexB = reg >> 3;
  }
  const modrm: number[] = [];
  if (row.fixedModrm !== undefined) modrm.push(row.plusI ? row.fixedModrm | rng.below(8) : row.fixedModrm);
  else if (row.modrm) {
    if (row.digit !== undefined) reg = row.digit;
    if (form.memory) {
      place = address(n, target, mode, rng);
      // A bit offset in the base register itself would reach anywhere.
      if (/^BT/.test(row.mnemonic) && inReg) while (reg === 4 || place.pointers.some(([pointer]) => pointer === reg)) reg = (reg + 5) % 8;
      prefixes.push(...place.prefix);
      mod = place.mod;
      modrm.push((mod << 6) | ((reg & 7) << 3) | place.rm, ...(place.sib === undefined ? [] : [place.sib]), ...place.displacement);
      rexB = place.rexB;
    } else {
      rm = register(inRm, mode, wantsRex, rng);
      modrm.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
      rexB = rm >> 3;
    }
  }
  const rexR = row.plusR || row.digit !== undefined ? 0 : reg >> 3;
  const rexX = place?.rexX ?? 0;
  const rex = 0x40 | (rexW ? 8 : 0) | (rexR << 2) | (rexX << 1) | rexB;
  if (size === 16 && row.prefix !== '66') prefixes.push(0x66);
  // Alone, REP or REPE, REPNE; now and then with 32-bit counts and pointers in 64-bit mode
  if (STRING.test(row.mnemonic)) prefixes.push(...[[], [0xf3], [0xf2]][n % 3]!, ...(mode === 64 && n > 11 ? [0x67] : []));
  if (row.prefix !== undefined && row.prefix !== 'NP') prefixes.push(Number.parseInt(row.prefix, 16));
  const rexBytes = mode === 64 && (rex !== 0x40 || (wantsRex && [inReg?.size, inRm?.size].includes(8))) ? [rex] : [];

  const immediates = row.immediates.map((letter) => immediateOf(form, letter, rng, n));
  const bytes = [...prefixes, ...rexBytes, ...opcode, ...modrm, ...immediates.flat()];
  // Displacements that depend on the length
  const branch = row.operands.find((o) => o.kind === 'rel');
  if (branch) {
    const width = immediates[0]!.length;
    const distance = (n % 2 === 0 ? BRANCH : -BRANCH) - bytes.length;
    bytes.splice(bytes.length - width, width, ...signed(distance, width));
  }
  if (place?.relative !== undefined) {
    const at = prefixes.length + rexBytes.length + opcode.length + 1;
    bytes.splice(at, 4, ...signed(place.relative - (CODE + bytes.length), 4));
  }
  return {
    bytes: Uint8Array.from(bytes),
    pointers: place?.pointers ?? [],
    reg: inReg ? reg : -1,
    rm,
    immediates: immediates.map((part) => part.reduceRight((value, byte) => value * 256 + byte, 0)),
    operand,
  };
}
