/** WebAssembly's instructions as those who build code need them: the rows of ops.ts, read once. */
import { OPS, type OpName } from './ops.ts';

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
const LETTER: Record<string, Type> = { i: 'i32', I: 'i64', f: 'f32', F: 'f64', V: 'v128' };

export interface Instruction {
  readonly name: OpName;
  readonly code: number;
  readonly params: readonly Type[];
  readonly result: Type | undefined;
  /** m memory argument, l lane, s shuffle mask. */
  readonly immediate: '' | 'm' | 'l' | 's';
  /** What it comes to, of operands that are numbers: of the result's type, but for an i32 taken modulo 2^32. */
  readonly constant: ((a: number, b: number) => number) | undefined;
  /** The right operand that makes it the left one. */
  readonly neutral: number | undefined;
}

const CONSTANT: Partial<Record<OpName, (a: number, b: number) => number>> = {
  'i32.add': (a, b) => a + b,
  'i32.sub': (a, b) => a - b,
  'i32.mul': (a, b) => Math.imul(a, b),
  'i32.and': (a, b) => a & b,
  'i32.or': (a, b) => a | b,
  'i32.xor': (a, b) => a ^ b,
  'i32.shl': (a, b) => a << b,
  'i32.shr_u': (a, b) => a >>> b,
  'i32.shr_s': (a, b) => a >> b,
  'i32.eq': (a, b) => Number(a === b),
  'i32.ne': (a, b) => Number(a !== b),
  'i64.eq': (a, b) => Number(a === b),
  'i64.ne': (a, b) => Number(a !== b),
  'i64.extend_i32_u': (a) => a >>> 0,
  'i64.extend_i32_s': (a) => a,
  'i32.wrap_i64': (a) => a % 0x1_0000_0000,
};

const neutral = (name: string): number | undefined => {
  if (/^i(32|64)\.(add|sub|or|xor|shl|shr_s|shr_u)$/.test(name)) return 0;
  return /^i(32|64)\.and$/.test(name) ? -1 : undefined;
};

const INSTRUCTIONS: ReadonlyMap<string, Instruction> = new Map(
  (Object.keys(OPS) as OpName[]).map((name) => {
    const [code, signature, immediate] = OPS[name];
    const [params, result] = signature.split('>') as [string, string];
    const types = [...params].map((letter) => LETTER[letter]!);
    return [name, { name, code, params: types, result: LETTER[result], immediate, constant: CONSTANT[name], neutral: neutral(name) }];
  }),
);

export const instruction = (name: OpName): Instruction => INSTRUCTIONS.get(name)!;
