/** MMX, and what SSE, SSE2 and SSSE3 added to it (Intel SDM vol. 1, 5.4, 5.5.2, 5.6.3, 5.8). */

/** Opcode after 0F, mnemonic: mm, mm/m64. */
const BINARY = {
  mmx: '63 PACKSSWB,6B PACKSSDW,67 PACKUSWB,FC PADDB,FD PADDW,FE PADDD,EC PADDSB,ED PADDSW,DC PADDUSB,DD PADDUSW,F8 PSUBB,F9 PSUBW,FA PSUBD,E8 PSUBSB,E9 PSUBSW,D8 PSUBUSB,D9 PSUBUSW,DB PAND,DF PANDN,EB POR,EF PXOR,74 PCMPEQB,75 PCMPEQW,76 PCMPEQD,64 PCMPGTB,65 PCMPGTW,66 PCMPGTD,F5 PMADDWD,E5 PMULHW,D5 PMULLW,68 PUNPCKHBW,69 PUNPCKHWD,6A PUNPCKHDQ,F1 PSLLW,F2 PSLLD,F3 PSLLQ,D1 PSRLW,D2 PSRLD,D3 PSRLQ,E1 PSRAW,E2 PSRAD',
  sse: 'E0 PAVGB,E3 PAVGW,EE PMAXSW,DE PMAXUB,EA PMINSW,DA PMINUB,E4 PMULHUW,F6 PSADBW',
  sse2: 'D4 PADDQ,FB PSUBQ,F4 PMULUDQ',
  ssse3:
    '38 00 PSHUFB,38 01 PHADDW,38 02 PHADDD,38 03 PHADDSW,38 04 PMADDUBSW,38 05 PHSUBW,38 06 PHSUBD,38 07 PHSUBSW,38 08 PSIGNB,38 09 PSIGNW,38 0A PSIGND,38 0B PMULHRSW,38 1C PABSB,38 1D PABSW,38 1E PABSD',
};

const binary = Object.entries(BINARY).flatMap(([needs, list]) =>
  list.split(',').map((entry) => {
    const at = entry.lastIndexOf(' ');
    const name = entry.slice(at + 1);
    return `NP 0F ${entry.slice(0, at)} /r | ${name} mm, mm/m64 | needs=${needs} mmx do=mmx_${name.toLowerCase()}`;
  }),
);

export const rows = `
  NP 0F 77             | EMMS                       | needs=mmx mmx helper=emms
  NP 0F 6E /r          | MOVD mm, r/m32             | needs=mmx mmx do=mmx_mov_from_gpr
  NP REX.W 0F 6E /r    | MOVQ mm, r/m64             | needs=mmx mmx do=mmx_mov_from_gpr o64
  NP 0F 7E /r          | MOVD r/m32, mm             | needs=mmx mmx do=mmx_mov_to_gpr
  NP REX.W 0F 7E /r    | MOVQ r/m64, mm             | needs=mmx mmx do=mmx_mov_to_gpr o64
  NP 0F 6F /r          | MOVQ mm, mm/m64            | needs=mmx mmx do=mmx_movq
  NP 0F 7F /r          | MOVQ mm/m64, mm            | needs=mmx mmx do=mmx_movq
  NP 0F 60 /r          | PUNPCKLBW mm, mm/m32       | needs=mmx mmx do=mmx_punpcklbw
  NP 0F 61 /r          | PUNPCKLWD mm, mm/m32       | needs=mmx mmx do=mmx_punpcklwd
  NP 0F 62 /r          | PUNPCKLDQ mm, mm/m32       | needs=mmx mmx do=mmx_punpckldq
  ${binary.join('\n  ')}
  NP 0F 71 /2 r ib     | PSRLW mm/m64, imm8         | needs=mmx mmx do=mmx_psrlw
  NP 0F 71 /4 r ib     | PSRAW mm/m64, imm8         | needs=mmx mmx do=mmx_psraw
  NP 0F 71 /6 r ib     | PSLLW mm/m64, imm8         | needs=mmx mmx do=mmx_psllw
  NP 0F 72 /2 r ib     | PSRLD mm/m64, imm8         | needs=mmx mmx do=mmx_psrld
  NP 0F 72 /4 r ib     | PSRAD mm/m64, imm8         | needs=mmx mmx do=mmx_psrad
  NP 0F 72 /6 r ib     | PSLLD mm/m64, imm8         | needs=mmx mmx do=mmx_pslld
  NP 0F 73 /2 r ib     | PSRLQ mm/m64, imm8         | needs=mmx mmx do=mmx_psrlq
  NP 0F 73 /6 r ib     | PSLLQ mm/m64, imm8         | needs=mmx mmx do=mmx_psllq
  NP 0F 70 /r ib       | PSHUFW mm, mm/m64, imm8    | needs=sse mmx do=mmx_pshufw
  NP 0F C4 /r ib       | PINSRW mm, r32/m16, imm8   | needs=sse mmx do=mmx_pinsrw
  NP 0F C5 /r r ib     | PEXTRW r32, mm/m64, imm8   | needs=sse mmx do=mmx_pextrw
  NP 0F D7 /r r        | PMOVMSKB r32, mm/m64       | needs=sse mmx do=mmx_pmovmskb
  NP 0F E7 /r m        | MOVNTQ mm/m64, mm          | needs=sse mmx do=mmx_movq
  NP 0F F7 /r r        | MASKMOVQ mm, mm/m64        | needs=sse mmx do=mmx_maskmovq
  NP 0F 3A 0F /r ib    | PALIGNR mm, mm/m64, imm8   | needs=ssse3 mmx do=mmx_palignr

  F3 0F D6 /r r        | MOVQ2DQ xmm, mm/m64        | needs=sse2 simd do=mmx_movq2dq
  F2 0F D6 /r r        | MOVDQ2Q mm, xmm/m64        | needs=sse2 simd do=mmx_movdq2q
  NP 0F 2A /r          | CVTPI2PS xmm, mm/m64       | needs=sse simd do=mmx_cvtpi2ps
  66 0F 2A /r          | CVTPI2PD xmm, mm/m64       | needs=sse2 simd do=mmx_cvtpi2pd
  NP 0F 2C /r          | CVTTPS2PI mm, xmm/m64      | needs=sse simd do=mmx_cvttps2pi
  66 0F 2C /r          | CVTTPD2PI mm, xmm/m128     | needs=sse2 simd do=mmx_cvttpd2pi
  NP 0F 2D /r          | CVTPS2PI mm, xmm/m64       | needs=sse simd do=mmx_cvtps2pi
  66 0F 2D /r          | CVTPD2PI mm, xmm/m128      | needs=sse2 simd do=mmx_cvtpd2pi
`;
