/** String instructions, with their REP prefixes (Intel SDM vol. 2). They end a block: a long one is left, and entered again, for events. */
export const rows = `
A4          | MOVSB                | end helper=movsb
A5          | MOVS                 | v end helper=movs
AA          | STOSB                | end helper=stosb
AB          | STOS                 | v end helper=stos
AC          | LODSB                | end helper=lodsb
AD          | LODS                 | v end helper=lods
AE          | SCASB                | end helper=scasb
AF          | SCAS                 | v end helper=scas
A6          | CMPSB                | end helper=cmpsb
A7          | CMPS                 | v end helper=cmps
6C          | INSB                 | io end helper=insb
6D          | INS                  | v io end helper=ins
6E          | OUTSB                | io end helper=outsb
6F          | OUTS                 | v io end helper=outs
`;
