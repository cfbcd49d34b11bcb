export * from './bytes.ts';
export * from './expr.ts';
export * from './function.ts';
export * from './tuning.ts';
export * from './module.ts';
export { OPS, type OpName } from './ops.ts';
export * from './text.ts';
