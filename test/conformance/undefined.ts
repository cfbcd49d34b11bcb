/**
 * What the manual leaves undefined, or to the processor's maker, is taken out of an outcome before it is compared: `normalize` writes
 * fixed values there. It works on recorded and on played outcomes alike. Sections: SDM vol. 2, "Flags Affected" of each instruction.
 */
import type { Encoding, Form } from './encode.ts';
import { AF, ARITHMETIC, CF, DF, FLAGS, FX, FX_FSW, FX_ST, FX_XMM, NO_VECTOR, OF, PF, SF, VECTOR, WINDOW_BYTES, ZF } from './image.ts';

/** PE of the x87 status word. */
const PRECISION = 0x20;

/** Rows whose outcome belongs to the host or its operating system: nothing is recorded for them. */
const NOT_HERE =
  /^(INT|INT1|INT3|ICEBP|IRET.*|SYSCALL|SYSRET|SYSENTER|SYSEXIT|CPUID|RDTSCP?|RDPMC|RDPID|RDRAND|RDSEED|S[GI]DT|SLDT|STR|SMSW|LAR|LSL|VER[RW]|ARPL|XGETBV|XSAVE.*|XRSTOR.*|MONITOR|MWAIT|CLAC|STAC|(RD|WR)[FG]SBASE|L[DEFGS]S|RETF|VM.*|JMPF|CALLF|UD0|FWAIT|WAIT)$/;

/** True if a form can be run at ring 3 with the same outcome everywhere; privileged ones can, and fault. */
export function recordable(form: Form): boolean {
  const { row } = form;
  if (NOT_HERE.test(row.mnemonic)) return false;
  // The selectors belong to the operating system.
  if (row.operands.some((o) => ['sreg', 'cr', 'dr', 'ptr', 'mptr'].includes(o.kind) || /^[CDEFGS]S$/.test(o.text))) return false;
  // FSTP's undocumented alias treats an empty register in the maker's own way.
  return !row.text.startsWith('D9 D8+i');
}

function count(form: Form, encoding: Encoding, before: DataView): number {
  const { row, size } = form;
  const raw = row.operands.some((o) => o.kind === 'one')
    ? 1
    : row.operands.some((o) => o.text === 'CL')
      ? before.getUint8(8)
      : (encoding.immediates[0] ?? 0) & 0xff;
  return raw & (size === 64 ? 63 : 31);
}

/** Flags without a defined value after the instruction. */
function undefinedFlags(form: Form, encoding: Encoding, before: DataView): number {
  const { row } = form;
  const bits = row.operands[0]?.size === 8 ? 8 : form.size;
  switch (row.mnemonic) {
    case 'AND':
    case 'OR':
    case 'XOR':
    case 'TEST':
      return AF;
    case 'MUL':
    case 'IMUL':
      return SF | ZF | AF | PF;
    case 'DIV':
    case 'IDIV':
      return ARITHMETIC;
    case 'SHL':
    case 'SHR':
    case 'SAL':
    case 'SAR': {
      const n = count(form, encoding, before);
      if (n === 0) return 0;
      return AF | (n === 1 ? 0 : OF) | (n >= bits && row.mnemonic !== 'SAR' ? CF : 0);
    }
    case 'ROL':
    case 'ROR':
    case 'RCL':
    case 'RCR': {
      const n = count(form, encoding, before);
      return n <= 1 ? 0 : OF;
    }
    case 'SHLD':
    case 'SHRD': {
      const n = count(form, encoding, before);
      if (n === 0) return 0;
      return n > bits ? ARITHMETIC : AF | (n === 1 ? 0 : OF);
    }
    case 'BSF':
    case 'BSR':
      return CF | OF | SF | AF | PF;
    case 'TZCNT':
    case 'LZCNT':
      return OF | SF | AF | PF;
    case 'BT':
    case 'BTS':
    case 'BTR':
    case 'BTC':
      return OF | SF | AF | PF;
    case 'AAA':
    case 'AAS':
      return OF | SF | ZF | PF;
    case 'AAD':
    case 'AAM':
      return OF | AF | CF;
    case 'DAA':
    case 'DAS':
      return OF;
    case 'FCOMI':
    case 'FCOMIP':
    case 'FUCOMI':
    case 'FUCOMIP':
      return OF | SF | AF;
    default:
      return 0;
  }
}

/** x87 condition codes without a defined value: bits of the status word. */
function undefinedConditions(mnemonic: string, status: number): number {
  const [C0, C1, C2, C3] = [0x100, 0x200, 0x400, 0x4000];
  if (/^(FU?COM|FICOM|FTST|FXAM|FLDENV|FRSTOR|FXRSTOR|FN?INIT|FN?SAVE|FNSTENV|FNSTSW|FNSTCW|EMMS|FDECSTP|FINCSTP)/.test(mnemonic)) {
    if (/^FU?COMI/.test(mnemonic)) return C0 | C2 | C3;
    return /^F(DEC|INC)STP/.test(mnemonic) ? C0 | C2 | C3 : /^FN?(STENV|STSW|STCW)/.test(mnemonic) ? C0 | C1 | C2 | C3 : 0;
  }
  if (/^FPREM1?$/.test(mnemonic)) return status & C2 ? C0 | C1 | C3 : 0;
  if (/^(FSIN|FCOS|FSINCOS|FPTAN)$/.test(mnemonic)) return C0 | C1 | C3;
  if (/^(F2XM1|FYL2X|FYL2XP1|FPATAN)$/.test(mnemonic)) return C0 | C1 | C2 | C3;
  if (/^(FLDCW|FN?CLEX)$/.test(mnemonic)) return C0 | C1 | C2 | C3;
  return C0 | C2 | C3;
}

/** Results that makers may compute to their own last bit: compared within a tolerance instead. */
export function approximate(form: Form): 'x87' | 'xmm' | undefined {
  if (/^(FSIN|FCOS|FSINCOS|FPTAN|FPATAN|F2XM1|FYL2X|FYL2XP1)$/.test(form.row.mnemonic)) return 'x87';
  if (/^R(CP|SQRT)[PS]S$/.test(form.row.mnemonic)) return 'xmm';
  return undefined;
}

/** FIP, FCS, FDP, FDS and FOP of an environment in memory: makers and operating systems differ. */
function forgetPointers(after: Uint8Array, at: number, size: number): void {
  if (size === 16) after.fill(0, at + 6, at + 14);
  else after.fill(0, at + 12, at + 28);
}

/** Rewrites `after` so that equal means correct. `before` is the input. */
export function normalize(form: Form, encoding: Encoding, before: Uint8Array, after: Uint8Array): void {
  const b = new DataView(before.buffer, before.byteOffset);
  const v = new DataView(after.buffer, after.byteOffset);
  const { row, size } = form;
  const name = row.mnemonic;
  const faulted = v.getUint32(VECTOR, true) !== NO_VECTOR;
  const keep = faulted ? 0 : (ARITHMETIC | DF) & ~undefinedFlags(form, encoding, b);
  v.setUint32(FLAGS, v.getUint32(FLAGS, true) & keep, true);
  v.setUint32(FLAGS + 4, 0, true);
  // FXSAVE's FOP, FIP, FDP, MXCSR_MASK and the reserved bytes beside each x87 register
  after.fill(0, FX + 5, FX + 24);
  after.fill(0, FX + 28, FX + 32);
  for (let i = 0; i < 8; i++) after.fill(0, FX_ST + i * 16 + 10, FX_ST + i * 16 + 16);
  if (form.mode === 32) {
    after.fill(0, FX_XMM + 128, FX_XMM + 256);
    for (let i = 0; i < 8; i++) v.setUint32(i * 8 + 4, 0, true);
    after.fill(0, 64, 128);
  }
  if (faulted) return;
  if (row.unit === 'x87') {
    const status = v.getUint16(FX_FSW, true);
    v.setUint16(FX_FSW, status & ~undefinedConditions(name, status), true);
    // A partial remainder is any number of steps further.
    if (/^FPREM1?$/.test(name) && status & 0x400) after.fill(0, FX_ST, FX_ST + 10);
  }
  const operand = WINDOW_BYTES + encoding.operand;
  if (/^FN?(STENV|SAVE)$/.test(name)) forgetPointers(after, operand, size);
  if (name.startsWith('FXSAVE')) {
    after.fill(0, operand + 5, operand + 24);
    after.fill(0, operand + 28, operand + 32);
    for (let at = operand + 42; at < WINDOW_BYTES + 128; at += 16) after.fill(0, at, Math.min(at + 6, WINDOW_BYTES + 128));
  }
  // Destination undefined
  if (/^SH[LR]D$/.test(name) && size === 16 && count(form, encoding, b) > 16) {
    if (form.memory) after.fill(0, operand, operand + 2);
    else after.fill(0, encoding.rm * 8, encoding.rm * 8 + 2);
  }
  if (/^BS[FR]$/.test(name) && v.getUint32(FLAGS, true) & ZF) after.fill(0, encoding.reg * 8, encoding.reg * 8 + 8);
  // A comparison that fails may or may not write the destination back, which shows in the upper half of a 32-bit register.
  if (name === 'CMPXCHG' && size === 32 && !form.memory && !(v.getUint32(FLAGS, true) & ZF)) v.setUint32(encoding.rm * 8 + 4, 0, true);
  const how = approximate(form);
  if (how === 'x87') {
    // Some say inexact where the result happens to be exact.
    v.setUint16(FX_FSW, v.getUint16(FX_FSW, true) & ~PRECISION, true);
    after.fill(0, FX_ST, FX_ST + 10);
    after.fill(0, FX_ST + 16, FX_ST + 26);
  } else if (how === 'xmm') after.fill(0, FX_XMM + encoding.reg * 16, FX_XMM + encoding.reg * 16 + 16);
}
