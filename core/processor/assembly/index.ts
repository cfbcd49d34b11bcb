/** What the interpreter's handlers and the host call: one line a file. */
export * from './fault';
export * from './flags';
export * from './tlb';
export * from './codepages';
export * from './paging';
export * from './memory';
export * from './cpuid';
export * from './segments';
export * from './privilege';
export * from './transfers';
export * from './returns';
export * from './syscalls';
export * from './interrupts';
export * from './run';
export * from './integer';
