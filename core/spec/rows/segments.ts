/** Segment registers, descriptor tables and descriptors (Intel SDM vol. 2; vol. 3A, chapters 3 and 5). */
export const rows = `
8C /r       | MOV r/mv, Sreg       | sens helper=mov_rm_sreg
8E /r       | MOV Sreg, r/m16      | sens helper=mov_sreg_rm
06          | PUSH ES              | i64 sens helper=push_es
0E          | PUSH CS              | i64 sens helper=push_cs
16          | PUSH SS              | i64 sens helper=push_ss
1E          | PUSH DS              | i64 sens helper=push_ds
0F A0       | PUSH FS              | d64 sens helper=push_fs
0F A8       | PUSH GS              | d64 sens helper=push_gs
07          | POP ES               | i64 sens helper=pop_es
17          | POP SS               | i64 sens helper=pop_ss
1F          | POP DS               | i64 sens helper=pop_ds
0F A1       | POP FS               | d64 sens helper=pop_fs
0F A9       | POP GS               | d64 sens helper=pop_gs
C4 /r m     | LES rz, m16:z        | i64 sens helper=les
C5 /r m     | LDS rz, m16:z        | i64 sens helper=lds
0F B2 /r m  | LSS rv, m16:v        | sens helper=lss
0F B4 /r m  | LFS rv, m16:v        | sens helper=lfs
0F B5 /r m  | LGS rv, m16:v        | sens helper=lgs

0F 02 /r    | LAR rv, r/m16        | sens helper=lar
0F 03 /r    | LSL rv, r/m16        | sens helper=lsl
0F 00 /4    | VERR r/m16           | sens helper=verr
0F 00 /5    | VERW r/m16           | sens helper=verw
63 /r       | ARPL r/m16, r16      | i64 helper=arpl

0F 01 /0 m  | SGDT m               | sens helper=sgdt
0F 01 /1 m  | SIDT m               | sens helper=sidt
0F 01 /2 m  | LGDT m               | priv helper=lgdt
0F 01 /3 m  | LIDT m               | priv helper=lidt
0F 00 /0    | SLDT r/mv            | sens helper=sldt
0F 00 /1    | STR r/mv             | sens helper=str
0F 00 /2    | LLDT r/m16           | priv helper=lldt
0F 00 /3    | LTR r/m16            | priv helper=ltr
`;
