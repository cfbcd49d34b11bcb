export * from './struct.ts';
export * from './cpu.ts';
export * from './tlb.ts';
export * from './code.ts';
export * from './translation.ts';
export * from './machine.ts';
export * from './vmm.ts';
export * from './para.ts';
