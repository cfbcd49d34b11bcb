/** General-purpose instructions (Intel SDM vol. 1, 5.1), but for those of system.ts, transfers.ts, segments.ts and strings.ts. */

const ARITHMETIC = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP'];
const SHIFTS = ['ROL', 'ROR', 'RCL', 'RCR', 'SHL', 'SHR', 'SHL', 'SAR'];
/** Condition codes in encoding order (vol. 1, appendix B). */
export const CONDITIONS = ['O', 'NO', 'B', 'NB', 'Z', 'NZ', 'BE', 'NBE', 'S', 'NS', 'P', 'NP', 'L', 'NL', 'LE', 'NLE'];

const hex = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

const arithmetic = ARITHMETIC.map((name, i) => {
  const o = i * 8;
  const lock = name === 'CMP' ? '' : 'lock';
  return `
${hex(o)} /r    | ${name} r/m8, r8       | ${lock}
${hex(o + 1)} /r    | ${name} r/mv, rv       | ${lock}
${hex(o + 2)} /r    | ${name} r8, r/m8       |
${hex(o + 3)} /r    | ${name} rv, r/mv       |
${hex(o + 4)} ib    | ${name} AL, imm8       |
${hex(o + 5)} iz    | ${name} rAX, immz      |
80 /${i} ib | ${name} r/m8, imm8     | ${lock}
81 /${i} iz | ${name} r/mv, immz     | ${lock}
82 /${i} ib | ${name} r/m8, imm8     | ${lock} i64
83 /${i} ib | ${name} r/mv, imm8s    | ${lock}`;
}).join('');

const shifts = SHIFTS.map(
  (name, i) => `
C0 /${i} ib | ${name} r/m8, imm8     |
C1 /${i} ib | ${name} r/mv, imm8     |
D0 /${i}    | ${name} r/m8, 1        |
D1 /${i}    | ${name} r/mv, 1        |
D2 /${i}    | ${name} r/m8, CL       |
D3 /${i}    | ${name} r/mv, CL       |`,
).join('');

const conditional = CONDITIONS.map(
  (cc, i) => `
${hex(0x70 + i)} cb      | J${cc} rel8        | do=jcc f64
0F ${hex(0x80 + i)} cz   | J${cc} relz        | do=jcc f64
0F ${hex(0x90 + i)} /r   | SET${cc} r/m8      | do=setcc
0F ${hex(0x40 + i)} /r   | CMOV${cc} rv, r/mv | do=cmovcc needs=cmov`,
).join('');

export const rows = `
${arithmetic}
${shifts}
${conditional}
40+r        | INC rv               | i64
48+r        | DEC rv               | i64
FE /0       | INC r/m8             | lock
FF /0       | INC r/mv             | lock
FE /1       | DEC r/m8             | lock
FF /1       | DEC r/mv             | lock
F6 /2       | NOT r/m8             | lock
F7 /2       | NOT r/mv             | lock
F6 /3       | NEG r/m8             | lock
F7 /3       | NEG r/mv             | lock
84 /r       | TEST r/m8, r8        |
85 /r       | TEST r/mv, rv        |
A8 ib       | TEST AL, imm8        |
A9 iz       | TEST rAX, immz       |
F6 /0 ib    | TEST r/m8, imm8      |
F6 /1 ib    | TEST r/m8, imm8      |
F7 /0 iz    | TEST r/mv, immz      |
F7 /1 iz    | TEST r/mv, immz      |

88 /r       | MOV r/m8, r8         |
89 /r       | MOV r/mv, rv         |
8A /r       | MOV r8, r/m8         |
8B /r       | MOV rv, r/mv         |
A0 io       | MOV AL, moffs8       |
A1 io       | MOV rAX, moffsv      |
A2 io       | MOV moffs8, AL       |
A3 io       | MOV moffsv, rAX      |
B0+r ib     | MOV r8, imm8         |
B8+r iv     | MOV rv, immv         |
C6 /0 ib    | MOV r/m8, imm8       |
C7 /0 iz    | MOV r/mv, immz       |
0F B6 /r    | MOVZX rv, r/m8       |
0F B7 /r    | MOVZX rv, r/m16      |
0F BE /r    | MOVSX rv, r/m8       |
0F BF /r    | MOVSX rv, r/m16      |
63 /r       | MOVSXD rv, r/m32     | o64 do=movsx
0F C8+r     | BSWAP rv             |
0F C3 /r    | MOVNTI m32, r32      | do=mov needs=sse2
REX.W 0F C3 /r | MOVNTI m64, r64   | do=mov needs=sse2
86 /r       | XCHG r/m8, r8        | lock
87 /r       | XCHG r/mv, rv        | lock
90+r        | XCHG rAX, rv         |
F3 90       | PAUSE                | do=nop
90          | NOP                  |
8D /r       | LEA rv, m            |
0F B0 /r    | CMPXCHG r/m8, r8     | lock
0F B1 /r    | CMPXCHG r/mv, rv     | lock
0F C0 /r    | XADD r/m8, r8        | lock
0F C1 /r    | XADD r/mv, rv        | lock
0F C7 /1 m  | CMPXCHG8B m64        | lock needs=cx8
REX.W 0F C7 /1 m | CMPXCHG16B m128 | lock needs=cx16

50+r        | PUSH rv              | d64
58+r        | POP rv               | d64
FF /6       | PUSH r/mv            | d64
8F /0       | POP r/mv             | d64
68 iz       | PUSH immz            | d64 do=push_imm
6A ib       | PUSH imm8s           | d64 do=push_imm
60          | PUSHA                | i64 v do=pusha
61          | POPA                 | i64 v do=popa
C8 iw ib    | ENTER imm16, imm8    | d64
C9          | LEAVE                | d64

EB cb       | JMP rel8             | f64 end
E9 cz       | JMP relz             | f64 end
FF /4       | JMP r/mv             | f64 end do=jmp_rm
E8 cz       | CALL relz            | f64 end
FF /2       | CALL r/mv            | f64 end do=call_rm
C3          | RET                  | f64 end
C2 iw       | RET imm16            | f64 end
E0 cb       | LOOPNE rel8          | f64
E1 cb       | LOOPE rel8           | f64
E2 cb       | LOOP rel8            | f64
E3 cb       | JCXZ rel8            | f64

F6 /4       | MUL r/m8             |
F7 /4       | MUL r/mv             |
F6 /5       | IMUL r/m8            | do=imul1
F7 /5       | IMUL r/mv            | do=imul1
0F AF /r    | IMUL rv, r/mv        |
69 /r iz    | IMUL rv, r/mv, immz  |
6B /r ib    | IMUL rv, r/mv, imm8s |
F6 /6       | DIV r/m8             |
F7 /6       | DIV r/mv             |
F6 /7       | IDIV r/m8            |
F7 /7       | IDIV r/mv            |
98          | CBW rAX              | do=cbw
99          | CWD rAX              | do=cwd
27          | DAA                  | i64
2F          | DAS                  | i64
37          | AAA                  | i64
3F          | AAS                  | i64
D4 ib       | AAM imm8             | i64
D5 ib       | AAD imm8             | i64
D6          | SALC                 | i64

0F A4 /r ib | SHLD r/mv, rv, imm8  |
0F A5 /r    | SHLD r/mv, rv, CL    |
0F AC /r ib | SHRD r/mv, rv, imm8  |
0F AD /r    | SHRD r/mv, rv, CL    |
0F A3 /r    | BT r/mv, rv          |
0F AB /r    | BTS r/mv, rv         | lock
0F B3 /r    | BTR r/mv, rv         | lock
0F BB /r    | BTC r/mv, rv         | lock
0F BA /4 ib | BT r/mv, imm8        |
0F BA /5 ib | BTS r/mv, imm8       | lock
0F BA /6 ib | BTR r/mv, imm8       | lock
0F BA /7 ib | BTC r/mv, imm8       | lock
0F BC /r    | BSF rv, r/mv         |
0F BD /r    | BSR rv, r/mv         |
F3 0F B8 /r | POPCNT rv, r/mv      | needs=popcnt
0F 38 F0 /r m | MOVBE rv, mv       | needs=movbe do=movbe
0F 38 F1 /r m | MOVBE mv, rv       | needs=movbe do=movbe
F2 0F 38 F0 /r | CRC32 ry, r/m8    | needs=sse42
F2 0F 38 F1 /r | CRC32 ry, r/mv    | needs=sse42

9E          | SAHF                 |
9F          | LAHF                 |
F5          | CMC                  |
F8          | CLC                  |
F9          | STC                  |
FC          | CLD                  |
FD          | STD                  |
D7          | XLAT                 |
62 /r m     | BOUND rv, mv         | i64
0F 1F /r    | NOP r/mv             |
0F 0D /r    | PREFETCHW r/m8       | do=nop
0F 18 /r    | PREFETCH r/mv        | do=nop
0F 19 /r    | NOP r/mv             |
0F 1A /r    | NOP r/mv             |
0F 1B /r    | NOP r/mv             |
0F 1C /r    | NOP r/mv             |
0F 1D /r    | NOP r/mv             |
0F 1E /r    | NOP r/mv             |
0F AE /5 r  | LFENCE               | do=nop needs=sse2
0F AE /6 r  | MFENCE               | do=nop needs=sse2
0F AE /7 r  | SFENCE               | do=nop needs=sse
0F 0B       | UD2                  | end do=undefined
0F B9 /r    | UD1 rv, r/mv         | end do=undefined
0F FF /r    | UD0 rv, r/mv         | end do=undefined
`;
