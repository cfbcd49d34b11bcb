/** Far transfers, software interrupts and fast system calls (Intel SDM vol. 2; vol. 3A, chapters 5 to 7). */
export const rows = `
EA cp       | JMP ptr16:z          | i64 end sens helper=jmp_far_ptr
FF /5 m     | JMP m16:z            | end sens helper=jmp_far_m
9A cp       | CALL ptr16:z         | i64 end sens helper=call_far_ptr
FF /3 m     | CALL m16:z           | end sens helper=call_far_m
CA iw       | RETF imm16           | v end sens helper=ret_far_imm
CB          | RETF                 | v end sens helper=ret_far
CF          | IRET                 | v end sens helper=iret

CC          | INT3                 | end sens helper=int3
CD ib       | INT imm8             | end sens helper=int_n
CE          | INTO                 | i64 end sens helper=into
F1          | INT1                 | end sens helper=int1

0F 34       | SYSENTER             | end needs=sep helper=sysenter
0F 35       | SYSEXIT              | v end priv needs=sep helper=sysexit
0F 05       | SYSCALL              | end needs=syscall helper=syscall
0F 07       | SYSRET               | v end priv needs=syscall helper=sysret
`;
