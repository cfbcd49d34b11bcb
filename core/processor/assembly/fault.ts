/** Raising guest faults. Unless it says otherwise none of these functions returns: the imported `raise` throws the WebAssembly exception that `run` catches. */
import { CPU_cr2, CPU_faultError, CPU_faultHasError, CPU_faultIsTrap, CPU_faultPending, CPU_faultVector } from './layout';

/** Throws. With no fault pending it says that the interpreter is to go on with the current record (translated.ts). */
@external("trap", "raise")
export declare function raise(): void;

/** Vectors (SDM vol. 3A, table 6-1). */
export const VECTOR_DE: u32 = 0;
export const VECTOR_DB: u32 = 1;
export const VECTOR_NMI: u32 = 2;
export const VECTOR_BP: u32 = 3;
export const VECTOR_OF: u32 = 4;
export const VECTOR_BR: u32 = 5;
export const VECTOR_UD: u32 = 6;
export const VECTOR_NM: u32 = 7;
export const VECTOR_DF: u32 = 8;
export const VECTOR_TS: u32 = 10;
export const VECTOR_NP: u32 = 11;
export const VECTOR_SS: u32 = 12;
export const VECTOR_GP: u32 = 13;
export const VECTOR_PF: u32 = 14;
export const VECTOR_MF: u32 = 16;
export const VECTOR_AC: u32 = 17;
export const VECTOR_MC: u32 = 18;
export const VECTOR_XM: u32 = 19;

/** Error-code bits of a page fault (SDM vol. 3A, 4.7). */
export const PF_PRESENT: u32 = 1;
export const PF_WRITE: u32 = 2;
export const PF_USER: u32 = 4;
export const PF_RESERVED: u32 = 8;
export const PF_FETCH: u32 = 16;

/** Throws; the code after a call of it is never reached, which the compiler is told. */
export function leave(): void {
  raise();
  unreachable();
}

// @ts-ignore: decorator
@inline
function pend(cpu: usize, vector: u32, error: u32): void {
  store<u32>(cpu, vector, CPU_faultVector);
  store<u32>(cpu, error, CPU_faultError);
  store<u32>(cpu, 1, CPU_faultHasError);
  store<u32>(cpu, 0, CPU_faultIsTrap);
  store<u32>(cpu, 1, CPU_faultPending);
}

export function fault(cpu: usize, vector: u32, error: u32): void {
  pend(cpu, vector, error);
  leave();
}

export function faultNoError(cpu: usize, vector: u32): void {
  store<u32>(cpu, vector, CPU_faultVector);
  store<u32>(cpu, 0, CPU_faultError);
  store<u32>(cpu, 0, CPU_faultHasError);
  store<u32>(cpu, 0, CPU_faultIsTrap);
  store<u32>(cpu, 1, CPU_faultPending);
  leave();
}

export function undefinedOpcode(cpu: usize): void {
  faultNoError(cpu, VECTOR_UD);
}

export function deviceNotAvailable(cpu: usize): void {
  faultNoError(cpu, VECTOR_NM);
}

export function generalProtection(cpu: usize, error: u32): void {
  fault(cpu, VECTOR_GP, error);
}

export function stackFault(cpu: usize, error: u32): void {
  fault(cpu, VECTOR_SS, error);
}

/** Makes #PF at `linear` pending, for `leave` to throw: CR2 is loaded here. */
export function pendPageFault(cpu: usize, linear: u64, error: u32): void {
  store<u64>(cpu, linear, CPU_cr2);
  pend(cpu, VECTOR_PF, error);
}
