/** x87 (Intel SDM vol. 1, 5.2; vol. 2, A.5). FWAIT has no `x87`: what it checks is its own. */
export const rows = `
  9B             | FWAIT                  | helper=fwait needs=fpu

  D8 /0 m        | FADD m32               | do=fadd_m32 x87 needs=fpu
  D8 /1 m        | FMUL m32               | do=fmul_m32 x87 needs=fpu
  D8 /2 m        | FCOM m32               | do=fcom_m32 x87 needs=fpu
  D8 /3 m        | FCOMP m32              | do=fcomp_m32 x87 needs=fpu
  D8 /4 m        | FSUB m32               | do=fsub_m32 x87 needs=fpu
  D8 /5 m        | FSUBR m32              | do=fsubr_m32 x87 needs=fpu
  D8 /6 m        | FDIV m32               | do=fdiv_m32 x87 needs=fpu
  D8 /7 m        | FDIVR m32              | do=fdivr_m32 x87 needs=fpu
  D8 C0+i        | FADD ST0, STi          | helper=fadd_st0_sti x87 needs=fpu
  D8 C8+i        | FMUL ST0, STi          | helper=fmul_st0_sti x87 needs=fpu
  D8 D0+i        | FCOM STi               | helper=fcom_sti x87 needs=fpu
  D8 D8+i        | FCOMP STi              | helper=fcomp_sti x87 needs=fpu
  D8 E0+i        | FSUB ST0, STi          | helper=fsub_st0_sti x87 needs=fpu
  D8 E8+i        | FSUBR ST0, STi         | helper=fsubr_st0_sti x87 needs=fpu
  D8 F0+i        | FDIV ST0, STi          | helper=fdiv_st0_sti x87 needs=fpu
  D8 F8+i        | FDIVR ST0, STi         | helper=fdivr_st0_sti x87 needs=fpu

  D9 /0 m        | FLD m32                | do=fld_m32 x87 needs=fpu
  D9 /2 m        | FST m32                | helper=fst_m32 x87 needs=fpu
  D9 /3 m        | FSTP m32               | helper=fstp_m32 x87 needs=fpu
  D9 /4 m        | FLDENV m               | v helper=fldenv x87 needs=fpu
  D9 /5 m        | FLDCW m16              | helper=fldcw x87 needs=fpu
  D9 /6 m        | FNSTENV m              | v helper=fnstenv x87 needs=fpu
  D9 /7 m        | FNSTCW m16             | helper=fnstcw x87 needs=fpu
  D9 C0+i        | FLD STi                | helper=fld_sti x87 needs=fpu
  D9 C8+i        | FXCH STi               | helper=fxch x87 needs=fpu
  D9 D0          | FNOP                   | helper=fnop x87 needs=fpu
  D9 D8+i        | FSTP STi               | helper=fstp_sti x87 needs=fpu
  D9 E0          | FCHS                   | helper=fchs x87 needs=fpu
  D9 E1          | FABS                   | helper=fabs x87 needs=fpu
  D9 E4          | FTST                   | helper=ftst x87 needs=fpu
  D9 E5          | FXAM                   | helper=fxam x87 needs=fpu
  D9 E8          | FLD1                   | helper=fld1 x87 needs=fpu
  D9 E9          | FLDL2T                 | helper=fldl2t x87 needs=fpu
  D9 EA          | FLDL2E                 | helper=fldl2e x87 needs=fpu
  D9 EB          | FLDPI                  | helper=fldpi x87 needs=fpu
  D9 EC          | FLDLG2                 | helper=fldlg2 x87 needs=fpu
  D9 ED          | FLDLN2                 | helper=fldln2 x87 needs=fpu
  D9 EE          | FLDZ                   | helper=fldz x87 needs=fpu
  D9 F0          | F2XM1                  | helper=f2xm1 x87 needs=fpu
  D9 F1          | FYL2X                  | helper=fyl2x x87 needs=fpu
  D9 F2          | FPTAN                  | helper=fptan x87 needs=fpu
  D9 F3          | FPATAN                 | helper=fpatan x87 needs=fpu
  D9 F4          | FXTRACT                | helper=fxtract x87 needs=fpu
  D9 F5          | FPREM1                 | helper=fprem1 x87 needs=fpu
  D9 F6          | FDECSTP                | helper=fdecstp x87 needs=fpu
  D9 F7          | FINCSTP                | helper=fincstp x87 needs=fpu
  D9 F8          | FPREM                  | helper=fprem x87 needs=fpu
  D9 F9          | FYL2XP1                | helper=fyl2xp1 x87 needs=fpu
  D9 FA          | FSQRT                  | helper=fsqrt x87 needs=fpu
  D9 FB          | FSINCOS                | helper=fsincos x87 needs=fpu
  D9 FC          | FRNDINT                | helper=frndint x87 needs=fpu
  D9 FD          | FSCALE                 | helper=fscale x87 needs=fpu
  D9 FE          | FSIN                   | helper=fsin x87 needs=fpu
  D9 FF          | FCOS                   | helper=fcos x87 needs=fpu

  DA /0 m        | FIADD m32              | do=fiadd_m32 x87 needs=fpu
  DA /1 m        | FIMUL m32              | do=fimul_m32 x87 needs=fpu
  DA /2 m        | FICOM m32              | do=ficom_m32 x87 needs=fpu
  DA /3 m        | FICOMP m32             | do=ficomp_m32 x87 needs=fpu
  DA /4 m        | FISUB m32              | do=fisub_m32 x87 needs=fpu
  DA /5 m        | FISUBR m32             | do=fisubr_m32 x87 needs=fpu
  DA /6 m        | FIDIV m32              | do=fidiv_m32 x87 needs=fpu
  DA /7 m        | FIDIVR m32             | do=fidivr_m32 x87 needs=fpu
  DA C0+i        | FCMOVB ST0, STi        | helper=fcmovb x87 needs=cmov
  DA C8+i        | FCMOVE ST0, STi        | helper=fcmove x87 needs=cmov
  DA D0+i        | FCMOVBE ST0, STi       | helper=fcmovbe x87 needs=cmov
  DA D8+i        | FCMOVU ST0, STi        | helper=fcmovu x87 needs=cmov
  DA E9          | FUCOMPP                | helper=fucompp x87 needs=fpu

  DB /0 m        | FILD m32               | do=fild_m32 x87 needs=fpu
  DB /1 m        | FISTTP m32             | helper=fisttp_m32 x87 needs=sse3
  DB /2 m        | FIST m32               | helper=fist_m32 x87 needs=fpu
  DB /3 m        | FISTP m32              | helper=fistp_m32 x87 needs=fpu
  DB /5 m        | FLD m80                | helper=fld_m80 x87 needs=fpu
  DB /7 m        | FSTP m80               | helper=fstp_m80 x87 needs=fpu
  DB C0+i        | FCMOVNB ST0, STi       | helper=fcmovnb x87 needs=cmov
  DB C8+i        | FCMOVNE ST0, STi       | helper=fcmovne x87 needs=cmov
  DB D0+i        | FCMOVNBE ST0, STi      | helper=fcmovnbe x87 needs=cmov
  DB D8+i        | FCMOVNU ST0, STi       | helper=fcmovnu x87 needs=cmov
  DB E0          | FNENI                  | helper=fnop_control x87 needs=fpu
  DB E1          | FNDISI                 | helper=fnop_control x87 needs=fpu
  DB E2          | FNCLEX                 | helper=fnclex x87 needs=fpu
  DB E3          | FNINIT                 | helper=fninit x87 needs=fpu
  DB E4          | FNSETPM                | helper=fnop_control x87 needs=fpu
  DB E8+i        | FUCOMI ST0, STi        | helper=fucomi x87 needs=cmov
  DB F0+i        | FCOMI ST0, STi         | helper=fcomi x87 needs=cmov

  DC /0 m        | FADD m64               | do=fadd_m64 x87 needs=fpu
  DC /1 m        | FMUL m64               | do=fmul_m64 x87 needs=fpu
  DC /2 m        | FCOM m64               | do=fcom_m64 x87 needs=fpu
  DC /3 m        | FCOMP m64              | do=fcomp_m64 x87 needs=fpu
  DC /4 m        | FSUB m64               | do=fsub_m64 x87 needs=fpu
  DC /5 m        | FSUBR m64              | do=fsubr_m64 x87 needs=fpu
  DC /6 m        | FDIV m64               | do=fdiv_m64 x87 needs=fpu
  DC /7 m        | FDIVR m64              | do=fdivr_m64 x87 needs=fpu
  DC C0+i        | FADD STi, ST0          | helper=fadd_sti_st0 x87 needs=fpu
  DC C8+i        | FMUL STi, ST0          | helper=fmul_sti_st0 x87 needs=fpu
  DC D0+i        | FCOM STi               | helper=fcom_sti x87 needs=fpu
  DC D8+i        | FCOMP STi              | helper=fcomp_sti x87 needs=fpu
  DC E0+i        | FSUBR STi, ST0         | helper=fsubr_sti_st0 x87 needs=fpu
  DC E8+i        | FSUB STi, ST0          | helper=fsub_sti_st0 x87 needs=fpu
  DC F0+i        | FDIVR STi, ST0         | helper=fdivr_sti_st0 x87 needs=fpu
  DC F8+i        | FDIV STi, ST0          | helper=fdiv_sti_st0 x87 needs=fpu

  DD /0 m        | FLD m64                | do=fld_m64 x87 needs=fpu
  DD /1 m        | FISTTP m64             | helper=fisttp_m64 x87 needs=sse3
  DD /2 m        | FST m64                | do=fst_m64 x87 needs=fpu
  DD /3 m        | FSTP m64               | do=fstp_m64 x87 needs=fpu
  DD /4 m        | FRSTOR m               | v helper=frstor x87 needs=fpu
  DD /6 m        | FNSAVE m               | v helper=fnsave x87 needs=fpu
  DD /7 m        | FNSTSW m16             | helper=fnstsw_m16 x87 needs=fpu
  DD C0+i        | FFREE STi              | helper=ffree x87 needs=fpu
  DD C8+i        | FXCH STi               | helper=fxch x87 needs=fpu
  DD D0+i        | FST STi                | helper=fst_sti x87 needs=fpu
  DD D8+i        | FSTP STi               | helper=fstp_sti x87 needs=fpu
  DD E0+i        | FUCOM STi              | helper=fucom_sti x87 needs=fpu
  DD E8+i        | FUCOMP STi             | helper=fucomp_sti x87 needs=fpu

  DE /0 m        | FIADD m16              | do=fiadd_m16 x87 needs=fpu
  DE /1 m        | FIMUL m16              | do=fimul_m16 x87 needs=fpu
  DE /2 m        | FICOM m16              | do=ficom_m16 x87 needs=fpu
  DE /3 m        | FICOMP m16             | do=ficomp_m16 x87 needs=fpu
  DE /4 m        | FISUB m16              | do=fisub_m16 x87 needs=fpu
  DE /5 m        | FISUBR m16             | do=fisubr_m16 x87 needs=fpu
  DE /6 m        | FIDIV m16              | do=fidiv_m16 x87 needs=fpu
  DE /7 m        | FIDIVR m16             | do=fidivr_m16 x87 needs=fpu
  DE C0+i        | FADDP STi, ST0         | helper=faddp x87 needs=fpu
  DE C8+i        | FMULP STi, ST0         | helper=fmulp x87 needs=fpu
  DE D0+i        | FCOMP STi              | helper=fcomp_sti x87 needs=fpu
  DE D9          | FCOMPP                 | helper=fcompp x87 needs=fpu
  DE E0+i        | FSUBRP STi, ST0        | helper=fsubrp x87 needs=fpu
  DE E8+i        | FSUBP STi, ST0         | helper=fsubp x87 needs=fpu
  DE F0+i        | FDIVRP STi, ST0        | helper=fdivrp x87 needs=fpu
  DE F8+i        | FDIVP STi, ST0         | helper=fdivp x87 needs=fpu

  DF /0 m        | FILD m16               | do=fild_m16 x87 needs=fpu
  DF /1 m        | FISTTP m16             | helper=fisttp_m16 x87 needs=sse3
  DF /2 m        | FIST m16               | helper=fist_m16 x87 needs=fpu
  DF /3 m        | FISTP m16              | helper=fistp_m16 x87 needs=fpu
  DF /4 m        | FBLD m80               | helper=fbld x87 needs=fpu
  DF /5 m        | FILD m64               | do=fild_m64 x87 needs=fpu
  DF /6 m        | FBSTP m80              | helper=fbstp x87 needs=fpu
  DF /7 m        | FISTP m64              | helper=fistp_m64 x87 needs=fpu
  DF C0+i        | FFREEP STi             | helper=ffreep x87 needs=fpu
  DF C8+i        | FXCH STi               | helper=fxch x87 needs=fpu
  DF D0+i        | FSTP STi               | helper=fstp_sti x87 needs=fpu
  DF D8+i        | FSTP STi               | helper=fstp_sti x87 needs=fpu
  DF E0          | FNSTSW AX              | helper=fnstsw_ax x87 needs=fpu
  DF E8+i        | FUCOMIP ST0, STi       | helper=fucomip x87 needs=cmov
  DF F0+i        | FCOMIP ST0, STi        | helper=fcomip x87 needs=cmov
`;
