/** Names for what the processor does not have. */
import { PREFIX_OPERAND, PREFIX_REP, PREFIX_REPNE } from '../state/index.ts';

/** What an undefined instruction is called in statistics: its mandatory prefix and opcode in hexadecimal, and modrm.reg. */
export function undefinedName(code: number): string {
  const prefixes = code >>> 24;
  const map = ['', '0f ', '0f 38 ', '0f 3a '][(code >> 8) & 3]!;
  const prefix = prefixes & PREFIX_REP ? 'f3 ' : prefixes & PREFIX_REPNE ? 'f2 ' : prefixes & PREFIX_OPERAND ? '66 ' : '';
  return `${prefix}${map}${(code & 0xff).toString(16).padStart(2, '0')} /${(code >> 19) & 7}`;
}
