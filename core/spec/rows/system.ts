/** System instructions: control, debug and model-specific registers, flags, interrupts, ports, TLB, time (Intel SDM vol. 2; vol. 3A, 2.8). */
export const rows = `
0F 20 /r    | MOV rmy, CRn         | priv helper=mov_from_cr
0F 22 /r    | MOV CRn, rmy         | priv end helper=mov_to_cr
0F 21 /r    | MOV rmy, DRn         | priv helper=mov_from_dr
0F 23 /r    | MOV DRn, rmy         | priv end helper=mov_to_dr
0F 06       | CLTS                 | priv helper=clts
0F 01 /4    | SMSW r/mv            | sens helper=smsw
0F 01 /6    | LMSW r/m16           | priv end helper=lmsw
0F 01 /7 m  | INVLPG m             | priv end helper=invlpg
66 0F 38 82 /r m | INVPCID ry, m128 | priv end helper=invpcid needs=invpcid
0F 08       | INVD                 | priv helper=wbinvd
0F 09       | WBINVD               | priv helper=wbinvd
NP 0F AE /7 m | CLFLUSH m8         | helper=clflush needs=clflush
66 0F AE /7 m | CLFLUSHOPT m8      | helper=clflush needs=clflushopt

0F 30       | WRMSR                | priv end helper=wrmsr needs=msr
0F 32       | RDMSR                | priv end helper=rdmsr needs=msr
0F 31       | RDTSC                | end helper=rdtsc needs=tsc
0F 01 F9    | RDTSCP               | end helper=rdtscp needs=rdtscp
0F 33       | RDPMC                | helper=rdpmc
0F A2       | CPUID                | helper=cpuid
0F 01 D0    | XGETBV               | helper=xgetbv needs=xsave
0F 01 D1    | XSETBV               | priv helper=xsetbv needs=xsave

0F 01 F8    | SWAPGS               | o64 priv helper=swapgs
F3 0F AE /0 r | RDFSBASE rmy       | o64 helper=rdfsbase needs=fsgsbase
F3 0F AE /1 r | RDGSBASE rmy       | o64 helper=rdgsbase needs=fsgsbase
F3 0F AE /2 r | WRFSBASE rmy       | o64 helper=wrfsbase needs=fsgsbase
F3 0F AE /3 r | WRGSBASE rmy       | o64 helper=wrgsbase needs=fsgsbase
0F 01 CA    | CLAC                 | priv helper=clac needs=smap
0F 01 CB    | STAC                 | priv helper=stac needs=smap

FA          | CLI                  | io end helper=cli
FB          | STI                  | io end helper=sti
F4          | HLT                  | priv end helper=hlt
9C          | PUSHF                | d64 sens io helper=pushf
9D          | POPF                 | d64 sens io end helper=popf

E4 ib       | IN AL, imm8          | io end helper=in_al_imm
E5 ib       | IN eAX, imm8         | io end helper=in_eax_imm
EC          | IN AL, DX            | io end helper=in_al_dx
ED          | IN eAX, DX           | io end helper=in_eax_dx
E6 ib       | OUT imm8, AL         | io end helper=out_imm_al
E7 ib       | OUT imm8, eAX        | io end helper=out_imm_eax
EE          | OUT DX, AL           | io end helper=out_dx_al
EF          | OUT DX, eAX          | io end helper=out_dx_eax
`;
