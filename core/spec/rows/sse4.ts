/** SSE4.1 and SSE4.2: inserting, extracting, blending; strings; and MASKMOVDQU (Intel SDM vol. 1, 5.10, 5.11). */
export const rows = `
  66 0F F7 /r r           | MASKMOVDQU xmm, xmm/m128      | needs=sse2 simd helper=maskmovdqu
  66 0F 3A 20 /r r ib     | PINSRB xmm, rm32, imm8        | needs=sse41 simd
  66 0F 3A 20 /r m ib     | PINSRB xmm, m8, imm8          | needs=sse41 simd
  66 0F 3A 22 /r ib       | PINSRD xmm, r/m32, imm8       | needs=sse41 simd
  66 REX.W 0F 3A 22 /r ib | PINSRQ xmm, r/m64, imm8       | needs=sse41 simd o64
  66 0F 3A 14 /r r ib     | PEXTRB rm32, xmm, imm8        | needs=sse41 simd
  66 0F 3A 14 /r m ib     | PEXTRB m8, xmm, imm8          | needs=sse41 simd
  66 0F 3A 15 /r r ib     | PEXTRW rm32, xmm, imm8        | needs=sse41 simd do=pextrw_store
  66 0F 3A 15 /r m ib     | PEXTRW m16, xmm, imm8         | needs=sse41 simd do=pextrw_store
  66 0F 3A 16 /r ib       | PEXTRD r/m32, xmm, imm8       | needs=sse41 simd
  66 REX.W 0F 3A 16 /r ib | PEXTRQ r/m64, xmm, imm8       | needs=sse41 simd o64
  66 0F 3A 17 /r ib       | EXTRACTPS r/m32, xmm, imm8    | needs=sse41 simd
  66 0F 3A 21 /r ib       | INSERTPS xmm, xmm/m32, imm8   | needs=sse41 simd
  66 0F 3A 0C /r ib       | BLENDPS xmm, xmm/m128, imm8   | needs=sse41 simd
  66 0F 3A 0D /r ib       | BLENDPD xmm, xmm/m128, imm8   | needs=sse41 simd
  66 0F 38 14 /r          | BLENDVPS xmm, xmm/m128        | needs=sse41 simd
  66 0F 38 15 /r          | BLENDVPD xmm, xmm/m128        | needs=sse41 simd
  66 0F 3A 42 /r ib       | MPSADBW xmm, xmm/m128, imm8   | needs=sse41 simd
  66 0F 38 41 /r          | PHMINPOSUW xmm, xmm/m128      | needs=sse41 simd
  66 0F 3A 60 /r ib       | PCMPESTRM xmm, xmm/m128, imm8 | needs=sse42 simd
  66 0F 3A 61 /r ib       | PCMPESTRI xmm, xmm/m128, imm8 | needs=sse42 simd
  66 REX.W 0F 3A 60 /r ib | PCMPESTRM xmm, xmm/m128, imm8 | needs=sse42 simd o64 do=pcmpestrm64
  66 REX.W 0F 3A 61 /r ib | PCMPESTRI xmm, xmm/m128, imm8 | needs=sse42 simd o64 do=pcmpestri64
  66 0F 3A 62 /r ib       | PCMPISTRM xmm, xmm/m128, imm8 | needs=sse42 simd
  66 0F 3A 63 /r ib       | PCMPISTRI xmm, xmm/m128, imm8 | needs=sse42 simd
`;
