/** SSE to SSE4.1 floating-point arithmetic, comparisons and conversions (Intel SDM vol. 1, 5.5.1, 5.6.1, 5.7, 5.10). */
const arithmetic = [
  ['51', 'SQRT'], ['58', 'ADD'], ['59', 'MUL'], ['5C', 'SUB'], ['5D', 'MIN'], ['5E', 'DIV'], ['5F', 'MAX'],
].map(([opcode, name]) => `
  NP 0F ${opcode} /r    | ${name}PS xmm, xmm/m128       | needs=sse simd
  F3 0F ${opcode} /r    | ${name}SS xmm, xmm/m32        | needs=sse simd
  66 0F ${opcode} /r    | ${name}PD xmm, xmm/m128       | needs=sse2 simd
  F2 0F ${opcode} /r    | ${name}SD xmm, xmm/m64        | needs=sse2 simd
`); // prettier-ignore

export const rows = `
  ${arithmetic.join('')}
  NP 0F 52 /r       | RSQRTPS xmm, xmm/m128      | needs=sse simd
  F3 0F 52 /r       | RSQRTSS xmm, xmm/m32       | needs=sse simd
  NP 0F 53 /r       | RCPPS xmm, xmm/m128        | needs=sse simd
  F3 0F 53 /r       | RCPSS xmm, xmm/m32         | needs=sse simd

  NP 0F C2 /r ib    | CMPPS xmm, xmm/m128, imm8  | needs=sse simd do=cmp_ps
  F3 0F C2 /r ib    | CMPSS xmm, xmm/m32, imm8   | needs=sse simd do=cmp_ss
  66 0F C2 /r ib    | CMPPD xmm, xmm/m128, imm8  | needs=sse2 simd do=cmp_pd
  F2 0F C2 /r ib    | CMPSD xmm, xmm/m64, imm8   | needs=sse2 simd do=cmp_sd
  NP 0F 2E /r       | UCOMISS xmm, xmm/m32       | needs=sse simd
  66 0F 2E /r       | UCOMISD xmm, xmm/m64       | needs=sse2 simd
  NP 0F 2F /r       | COMISS xmm, xmm/m32        | needs=sse simd
  66 0F 2F /r       | COMISD xmm, xmm/m64        | needs=sse2 simd

  F3 0F 2A /r       | CVTSI2SS xmm, r/my         | needs=sse simd
  F2 0F 2A /r       | CVTSI2SD xmm, r/my         | needs=sse2 simd
  F3 0F 2D /r       | CVTSS2SI ry, xmm/m32       | needs=sse simd
  F2 0F 2D /r       | CVTSD2SI ry, xmm/m64       | needs=sse2 simd
  F3 0F 2C /r       | CVTTSS2SI ry, xmm/m32      | needs=sse simd
  F2 0F 2C /r       | CVTTSD2SI ry, xmm/m64      | needs=sse2 simd
  NP 0F 5A /r       | CVTPS2PD xmm, xmm/m64      | needs=sse2 simd
  66 0F 5A /r       | CVTPD2PS xmm, xmm/m128     | needs=sse2 simd
  F3 0F 5A /r       | CVTSS2SD xmm, xmm/m32      | needs=sse2 simd
  F2 0F 5A /r       | CVTSD2SS xmm, xmm/m64      | needs=sse2 simd
  NP 0F 5B /r       | CVTDQ2PS xmm, xmm/m128     | needs=sse2 simd
  66 0F 5B /r       | CVTPS2DQ xmm, xmm/m128     | needs=sse2 simd
  F3 0F 5B /r       | CVTTPS2DQ xmm, xmm/m128    | needs=sse2 simd
  F3 0F E6 /r       | CVTDQ2PD xmm, xmm/m64      | needs=sse2 simd
  F2 0F E6 /r       | CVTPD2DQ xmm, xmm/m128     | needs=sse2 simd
  66 0F E6 /r       | CVTTPD2DQ xmm, xmm/m128    | needs=sse2 simd

  F2 0F D0 /r       | ADDSUBPS xmm, xmm/m128     | needs=sse3 simd
  66 0F D0 /r       | ADDSUBPD xmm, xmm/m128     | needs=sse3 simd
  F2 0F 7C /r       | HADDPS xmm, xmm/m128       | needs=sse3 simd
  66 0F 7C /r       | HADDPD xmm, xmm/m128       | needs=sse3 simd
  F2 0F 7D /r       | HSUBPS xmm, xmm/m128       | needs=sse3 simd
  66 0F 7D /r       | HSUBPD xmm, xmm/m128       | needs=sse3 simd

  66 0F 3A 08 /r ib | ROUNDPS xmm, xmm/m128, imm8 | needs=sse41 simd
  66 0F 3A 09 /r ib | ROUNDPD xmm, xmm/m128, imm8 | needs=sse41 simd
  66 0F 3A 0A /r ib | ROUNDSS xmm, xmm/m32, imm8  | needs=sse41 simd
  66 0F 3A 0B /r ib | ROUNDSD xmm, xmm/m64, imm8  | needs=sse41 simd
  66 0F 3A 40 /r ib | DPPS xmm, xmm/m128, imm8    | needs=sse41 simd
  66 0F 3A 41 /r ib | DPPD xmm, xmm/m128, imm8    | needs=sse41 simd
`;
