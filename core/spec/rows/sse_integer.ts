/** SSE to SSE4.2 without floating-point arithmetic: moves, logic, integers, shuffles (Intel SDM vol. 1, 5.5 to 5.11). */
export const rows = `
NP 0F 28 /r       | MOVAPS xmm, xmm/m128        | needs=sse simd do=mov_aligned
NP 0F 29 /r       | MOVAPS xmm/m128, xmm        | needs=sse simd do=mov_aligned
NP 0F 10 /r       | MOVUPS xmm, xmm/m128        | needs=sse simd do=mov_unaligned
NP 0F 11 /r       | MOVUPS xmm/m128, xmm        | needs=sse simd do=mov_unaligned
NP 0F 2B /r m     | MOVNTPS xmm/m128, xmm       | needs=sse simd do=mov_aligned
NP 0F 54 /r       | ANDPS xmm, xmm/m128         | needs=sse simd do=pand
NP 0F 55 /r       | ANDNPS xmm, xmm/m128        | needs=sse simd do=pandn
NP 0F 56 /r       | ORPS xmm, xmm/m128          | needs=sse simd do=por
NP 0F 57 /r       | XORPS xmm, xmm/m128         | needs=sse simd do=pxor
NP 0F 50 /r r     | MOVMSKPS r32, xmm/m128      | needs=sse simd
NP 0F 13 /r m     | MOVLPS xmm/m64, xmm         | needs=sse simd do=mov_low_store
NP 0F 17 /r m     | MOVHPS xmm/m64, xmm         | needs=sse simd do=mov_high_store
NP 0F 12 /r m     | MOVLPS xmm, xmm/m64         | needs=sse simd do=mov_low_load
NP 0F 16 /r m     | MOVHPS xmm, xmm/m64         | needs=sse simd do=mov_high_load
NP 0F 14 /r       | UNPCKLPS xmm, xmm/m128      | needs=sse simd do=punpckldq
NP 0F 15 /r       | UNPCKHPS xmm, xmm/m128      | needs=sse simd do=punpckhdq
NP 0F C6 /r ib    | SHUFPS xmm, xmm/m128, imm8  | needs=sse simd
66 0F 28 /r       | MOVAPD xmm, xmm/m128        | needs=sse2 simd do=mov_aligned
66 0F 29 /r       | MOVAPD xmm/m128, xmm        | needs=sse2 simd do=mov_aligned
66 0F 10 /r       | MOVUPD xmm, xmm/m128        | needs=sse2 simd do=mov_unaligned
66 0F 11 /r       | MOVUPD xmm/m128, xmm        | needs=sse2 simd do=mov_unaligned
66 0F 2B /r m     | MOVNTPD xmm/m128, xmm       | needs=sse2 simd do=mov_aligned
66 0F 54 /r       | ANDPD xmm, xmm/m128         | needs=sse2 simd do=pand
66 0F 55 /r       | ANDNPD xmm, xmm/m128        | needs=sse2 simd do=pandn
66 0F 56 /r       | ORPD xmm, xmm/m128          | needs=sse2 simd do=por
66 0F 57 /r       | XORPD xmm, xmm/m128         | needs=sse2 simd do=pxor
66 0F 50 /r r     | MOVMSKPD r32, xmm/m128      | needs=sse2 simd
66 0F 13 /r m     | MOVLPD xmm/m64, xmm         | needs=sse2 simd do=mov_low_store
66 0F 17 /r m     | MOVHPD xmm/m64, xmm         | needs=sse2 simd do=mov_high_store
66 0F 12 /r m     | MOVLPD xmm, xmm/m64         | needs=sse2 simd do=mov_low_load
66 0F 16 /r m     | MOVHPD xmm, xmm/m64         | needs=sse2 simd do=mov_high_load
66 0F 14 /r       | UNPCKLPD xmm, xmm/m128      | needs=sse2 simd do=punpcklqdq
66 0F 15 /r       | UNPCKHPD xmm, xmm/m128      | needs=sse2 simd do=punpckhqdq
66 0F C6 /r ib    | SHUFPD xmm, xmm/m128, imm8  | needs=sse2 simd
NP 0F 12 /r r     | MOVHLPS xmm, xmm/m128       | needs=sse simd
NP 0F 16 /r r     | MOVLHPS xmm, xmm/m128       | needs=sse simd
F3 0F 10 /r       | MOVSS xmm, xmm/m32          | needs=sse simd do=mov_scalar_load
F3 0F 11 /r       | MOVSS xmm/m32, xmm          | needs=sse simd do=mov_scalar_store
F2 0F 10 /r       | MOVSD xmm, xmm/m64          | needs=sse2 simd do=mov_scalar_load
F2 0F 11 /r       | MOVSD xmm/m64, xmm          | needs=sse2 simd do=mov_scalar_store
66 0F 6F /r       | MOVDQA xmm, xmm/m128        | needs=sse2 simd do=mov_aligned
66 0F 7F /r       | MOVDQA xmm/m128, xmm        | needs=sse2 simd do=mov_aligned
F3 0F 6F /r       | MOVDQU xmm, xmm/m128        | needs=sse2 simd do=mov_unaligned
F3 0F 7F /r       | MOVDQU xmm/m128, xmm        | needs=sse2 simd do=mov_unaligned
66 0F E7 /r m     | MOVNTDQ xmm/m128, xmm       | needs=sse2 simd do=mov_aligned
66 0F 38 2A /r m  | MOVNTDQA xmm, xmm/m128      | needs=sse41 simd do=mov_aligned
F2 0F F0 /r m     | LDDQU xmm, xmm/m128         | needs=sse3 simd do=mov_unaligned
66 0F 6E /r       | MOVD xmm, r/m32             | needs=sse2 simd do=mov_from_gpr
66 REX.W 0F 6E /r | MOVQ xmm, r/m64             | needs=sse2 simd do=mov_from_gpr
66 0F 7E /r       | MOVD r/m32, xmm             | needs=sse2 simd do=mov_to_gpr
66 REX.W 0F 7E /r | MOVQ r/m64, xmm             | needs=sse2 simd do=mov_to_gpr
F3 0F 7E /r       | MOVQ xmm, xmm/m64           | needs=sse2 simd do=mov_quad_load
66 0F D6 /r       | MOVQ xmm/m64, xmm           | needs=sse2 simd do=mov_quad_store
F2 0F 12 /r       | MOVDDUP xmm, xmm/m64        | needs=sse3 simd
F3 0F 12 /r       | MOVSLDUP xmm, xmm/m128      | needs=sse3 simd
F3 0F 16 /r       | MOVSHDUP xmm, xmm/m128      | needs=sse3 simd
66 0F D7 /r r     | PMOVMSKB r32, xmm/m128      | needs=sse2 simd
66 0F FC /r       | PADDB xmm, xmm/m128         | needs=sse2 simd
66 0F FD /r       | PADDW xmm, xmm/m128         | needs=sse2 simd
66 0F FE /r       | PADDD xmm, xmm/m128         | needs=sse2 simd
66 0F D4 /r       | PADDQ xmm, xmm/m128         | needs=sse2 simd
66 0F F8 /r       | PSUBB xmm, xmm/m128         | needs=sse2 simd
66 0F F9 /r       | PSUBW xmm, xmm/m128         | needs=sse2 simd
66 0F FA /r       | PSUBD xmm, xmm/m128         | needs=sse2 simd
66 0F FB /r       | PSUBQ xmm, xmm/m128         | needs=sse2 simd
66 0F EC /r       | PADDSB xmm, xmm/m128        | needs=sse2 simd
66 0F ED /r       | PADDSW xmm, xmm/m128        | needs=sse2 simd
66 0F DC /r       | PADDUSB xmm, xmm/m128       | needs=sse2 simd
66 0F DD /r       | PADDUSW xmm, xmm/m128       | needs=sse2 simd
66 0F E8 /r       | PSUBSB xmm, xmm/m128        | needs=sse2 simd
66 0F E9 /r       | PSUBSW xmm, xmm/m128        | needs=sse2 simd
66 0F D8 /r       | PSUBUSB xmm, xmm/m128       | needs=sse2 simd
66 0F D9 /r       | PSUBUSW xmm, xmm/m128       | needs=sse2 simd
66 0F E0 /r       | PAVGB xmm, xmm/m128         | needs=sse2 simd
66 0F E3 /r       | PAVGW xmm, xmm/m128         | needs=sse2 simd
66 0F DA /r       | PMINUB xmm, xmm/m128        | needs=sse2 simd
66 0F DE /r       | PMAXUB xmm, xmm/m128        | needs=sse2 simd
66 0F EA /r       | PMINSW xmm, xmm/m128        | needs=sse2 simd
66 0F EE /r       | PMAXSW xmm, xmm/m128        | needs=sse2 simd
66 0F 74 /r       | PCMPEQB xmm, xmm/m128       | needs=sse2 simd
66 0F 75 /r       | PCMPEQW xmm, xmm/m128       | needs=sse2 simd
66 0F 76 /r       | PCMPEQD xmm, xmm/m128       | needs=sse2 simd
66 0F 64 /r       | PCMPGTB xmm, xmm/m128       | needs=sse2 simd
66 0F 65 /r       | PCMPGTW xmm, xmm/m128       | needs=sse2 simd
66 0F 66 /r       | PCMPGTD xmm, xmm/m128       | needs=sse2 simd
66 0F D5 /r       | PMULLW xmm, xmm/m128        | needs=sse2 simd
66 0F E5 /r       | PMULHW xmm, xmm/m128        | needs=sse2 simd
66 0F E4 /r       | PMULHUW xmm, xmm/m128       | needs=sse2 simd
66 0F F4 /r       | PMULUDQ xmm, xmm/m128       | needs=sse2 simd
66 0F F5 /r       | PMADDWD xmm, xmm/m128       | needs=sse2 simd
66 0F F6 /r       | PSADBW xmm, xmm/m128        | needs=sse2 simd
66 0F 63 /r       | PACKSSWB xmm, xmm/m128      | needs=sse2 simd
66 0F 6B /r       | PACKSSDW xmm, xmm/m128      | needs=sse2 simd
66 0F 67 /r       | PACKUSWB xmm, xmm/m128      | needs=sse2 simd
66 0F 60 /r       | PUNPCKLBW xmm, xmm/m128     | needs=sse2 simd
66 0F 61 /r       | PUNPCKLWD xmm, xmm/m128     | needs=sse2 simd
66 0F 62 /r       | PUNPCKLDQ xmm, xmm/m128     | needs=sse2 simd
66 0F 6C /r       | PUNPCKLQDQ xmm, xmm/m128    | needs=sse2 simd
66 0F 68 /r       | PUNPCKHBW xmm, xmm/m128     | needs=sse2 simd
66 0F 69 /r       | PUNPCKHWD xmm, xmm/m128     | needs=sse2 simd
66 0F 6A /r       | PUNPCKHDQ xmm, xmm/m128     | needs=sse2 simd
66 0F 6D /r       | PUNPCKHQDQ xmm, xmm/m128    | needs=sse2 simd
66 0F DB /r       | PAND xmm, xmm/m128          | needs=sse2 simd
66 0F DF /r       | PANDN xmm, xmm/m128         | needs=sse2 simd
66 0F EB /r       | POR xmm, xmm/m128           | needs=sse2 simd
66 0F EF /r       | PXOR xmm, xmm/m128          | needs=sse2 simd
66 0F D1 /r       | PSRLW xmm, xmm/m128         | needs=sse2 simd
66 0F D2 /r       | PSRLD xmm, xmm/m128         | needs=sse2 simd
66 0F D3 /r       | PSRLQ xmm, xmm/m128         | needs=sse2 simd
66 0F E1 /r       | PSRAW xmm, xmm/m128         | needs=sse2 simd
66 0F E2 /r       | PSRAD xmm, xmm/m128         | needs=sse2 simd
66 0F F1 /r       | PSLLW xmm, xmm/m128         | needs=sse2 simd
66 0F F2 /r       | PSLLD xmm, xmm/m128         | needs=sse2 simd
66 0F F3 /r       | PSLLQ xmm, xmm/m128         | needs=sse2 simd
66 0F 71 /2 r ib  | PSRLW xmm/m128, imm8        | needs=sse2 simd
66 0F 71 /4 r ib  | PSRAW xmm/m128, imm8        | needs=sse2 simd
66 0F 71 /6 r ib  | PSLLW xmm/m128, imm8        | needs=sse2 simd
66 0F 72 /2 r ib  | PSRLD xmm/m128, imm8        | needs=sse2 simd
66 0F 72 /4 r ib  | PSRAD xmm/m128, imm8        | needs=sse2 simd
66 0F 72 /6 r ib  | PSLLD xmm/m128, imm8        | needs=sse2 simd
66 0F 73 /2 r ib  | PSRLQ xmm/m128, imm8        | needs=sse2 simd
66 0F 73 /6 r ib  | PSLLQ xmm/m128, imm8        | needs=sse2 simd
66 0F 73 /3 r ib  | PSRLDQ xmm/m128, imm8       | needs=sse2 simd
66 0F 73 /7 r ib  | PSLLDQ xmm/m128, imm8       | needs=sse2 simd
66 0F 70 /r ib    | PSHUFD xmm, xmm/m128, imm8  | needs=sse2 simd
F3 0F 70 /r ib    | PSHUFHW xmm, xmm/m128, imm8 | needs=sse2 simd
F2 0F 70 /r ib    | PSHUFLW xmm, xmm/m128, imm8 | needs=sse2 simd
66 0F C4 /r ib    | PINSRW xmm, r32/m16, imm8   | needs=sse2 simd
66 0F C5 /r r ib  | PEXTRW r32, xmm/m128, imm8  | needs=sse2 simd
66 0F 38 00 /r    | PSHUFB xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 04 /r    | PMADDUBSW xmm, xmm/m128     | needs=ssse3 simd
66 0F 38 0B /r    | PMULHRSW xmm, xmm/m128      | needs=ssse3 simd
66 0F 38 1C /r    | PABSB xmm, xmm/m128         | needs=ssse3 simd
66 0F 38 1D /r    | PABSW xmm, xmm/m128         | needs=ssse3 simd
66 0F 38 1E /r    | PABSD xmm, xmm/m128         | needs=ssse3 simd
66 0F 38 01 /r    | PHADDW xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 02 /r    | PHADDD xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 05 /r    | PHSUBW xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 06 /r    | PHSUBD xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 03 /r    | PHADDSW xmm, xmm/m128       | needs=ssse3 simd
66 0F 38 07 /r    | PHSUBSW xmm, xmm/m128       | needs=ssse3 simd
66 0F 38 08 /r    | PSIGNB xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 09 /r    | PSIGNW xmm, xmm/m128        | needs=ssse3 simd
66 0F 38 0A /r    | PSIGND xmm, xmm/m128        | needs=ssse3 simd
66 0F 3A 0F /r ib | PALIGNR xmm, xmm/m128, imm8 | needs=ssse3 simd
66 0F 38 29 /r    | PCMPEQQ xmm, xmm/m128       | needs=sse41 simd
66 0F 38 28 /r    | PMULDQ xmm, xmm/m128        | needs=sse41 simd
66 0F 38 2B /r    | PACKUSDW xmm, xmm/m128      | needs=sse41 simd
66 0F 38 38 /r    | PMINSB xmm, xmm/m128        | needs=sse41 simd
66 0F 38 39 /r    | PMINSD xmm, xmm/m128        | needs=sse41 simd
66 0F 38 3A /r    | PMINUW xmm, xmm/m128        | needs=sse41 simd
66 0F 38 3B /r    | PMINUD xmm, xmm/m128        | needs=sse41 simd
66 0F 38 3C /r    | PMAXSB xmm, xmm/m128        | needs=sse41 simd
66 0F 38 3D /r    | PMAXSD xmm, xmm/m128        | needs=sse41 simd
66 0F 38 3E /r    | PMAXUW xmm, xmm/m128        | needs=sse41 simd
66 0F 38 3F /r    | PMAXUD xmm, xmm/m128        | needs=sse41 simd
66 0F 38 40 /r    | PMULLD xmm, xmm/m128        | needs=sse41 simd
66 0F 38 37 /r    | PCMPGTQ xmm, xmm/m128       | needs=sse42 simd
66 0F 38 20 /r    | PMOVSXBW xmm, xmm/m64       | needs=sse41 simd
66 0F 38 30 /r    | PMOVZXBW xmm, xmm/m64       | needs=sse41 simd
66 0F 38 21 /r    | PMOVSXBD xmm, xmm/m32       | needs=sse41 simd
66 0F 38 31 /r    | PMOVZXBD xmm, xmm/m32       | needs=sse41 simd
66 0F 38 22 /r    | PMOVSXBQ xmm, xmm/m16       | needs=sse41 simd
66 0F 38 32 /r    | PMOVZXBQ xmm, xmm/m16       | needs=sse41 simd
66 0F 38 23 /r    | PMOVSXWD xmm, xmm/m64       | needs=sse41 simd
66 0F 38 33 /r    | PMOVZXWD xmm, xmm/m64       | needs=sse41 simd
66 0F 38 24 /r    | PMOVSXWQ xmm, xmm/m32       | needs=sse41 simd
66 0F 38 34 /r    | PMOVZXWQ xmm, xmm/m32       | needs=sse41 simd
66 0F 38 25 /r    | PMOVSXDQ xmm, xmm/m64       | needs=sse41 simd
66 0F 38 35 /r    | PMOVZXDQ xmm, xmm/m64       | needs=sse41 simd
66 0F 38 17 /r    | PTEST xmm, xmm/m128         | needs=sse41 simd
66 0F 38 10 /r    | PBLENDVB xmm, xmm/m128      | needs=sse41 simd
66 0F 3A 0E /r ib | PBLENDW xmm, xmm/m128, imm8 | needs=sse41 simd
`;
