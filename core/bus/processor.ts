/** What the processor asks of its machine, and the machine of its processor; nothing else passes between them. */

/** Implemented by the machine (core/machine/board.ts); called from WebAssembly on the pCPU that runs the vCPU. */
export interface ProcessorBus {
  readPort(cpu: number, port: number, size: number): number;
  writePort(cpu: number, port: number, size: number, value: number): void;
  /** Guest-physical `address` as two halves (numbers above 2^32 do not fit an i32). Sizes 1, 2, 4. */
  readMmio(cpu: number, low: number, high: number, size: number): number;
  writeMmio(cpu: number, low: number, high: number, size: number, value: number): void;
  /** The interrupt that the vCPU is about to take: a vector, or -1 if it was withdrawn. */
  acknowledgeInterrupt(cpu: number): number;
  /** TSC ticks since the machine was created (a double). */
  tsc(cpu: number): number;
  /** CR8 and the TPR are one register: the processor wrote CR8 (0..15). */
  taskPriority(cpu: number, value: number): void;
  readTaskPriority(cpu: number): number;
  /** IA32_APIC_BASE (0x1b) or IA32_TSC_DEADLINE (0x6e0) was written. */
  apicMsr(cpu: number, msr: number, low: number, high: number): void;
  /**
   * A hypercall that the processor's own part does not do, by its number. Its arguments are in `ParaVcpu.args`; `ParaVcpu.result` is what it
   * comes to. `Cpu.halted`, `Para.crash` and events may have been set. Absent: the machine's guests make none.
   */
  hypercall?(cpu: number, number: number): void;
  /** A one-line note for the VM's log (unknown MSR, undefined opcode, ...). */
  note(cpu: number, text: string): void;
}
