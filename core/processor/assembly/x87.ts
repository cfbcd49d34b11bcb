/** x87, MMX and SSE: what rows and families call. */
export { checkMmx, checkSimd, checkX87, fwait, pendingException } from './fpu';
export * from './fpu_forms';
export * from './fpu_load';
export * from './fpu_store';
export * from './fpu_compare';
export * from './fpu_environment';
export * from './fpu_step';
export * from './fpu_arctangent';
export * from './fpu_logarithm';
export * from './fpu_trigonometry';
export { sseApproximate, sseArithmetic, sseCompare, sseDotProduct, sseOrder } from './sse_float';
export * from './sse_convert';
export * from './sse4';
