/** What the machine does for the processor: `ProcessorBus` in core/bus/processor.ts, imported from module "host". */

@external("host", "readPort")
export declare function readPort(cpu: usize, port: u32, size: u32): u32;
@external("host", "writePort")
export declare function writePort(cpu: usize, port: u32, size: u32, value: u32): void;
@external("host", "readMmio")
export declare function readMmio(cpu: usize, low: u32, high: u32, size: u32): u32;
@external("host", "writeMmio")
export declare function writeMmio(cpu: usize, low: u32, high: u32, size: u32, value: u32): void;
@external("host", "acknowledgeInterrupt")
export declare function acknowledgeInterrupt(cpu: usize): i32;
@external("host", "tsc")
export declare function tsc(cpu: usize): f64;
/** Milliseconds of the host's own clock. */
@external("host", "clock")
export declare function clock(): f64;
/** A hypercall that is not done here (para_calls.ts): arguments in `ParaVcpu.args`, the result in `ParaVcpu.result`. */
@external("host", "hypercall")
export declare function hypercall(cpu: usize, number: u32): void;
@external("host", "taskPriority")
export declare function taskPriority(cpu: usize, value: u32): void;
@external("host", "readTaskPriority")
export declare function readTaskPriority(cpu: usize): u32;
@external("host", "apicMsr")
export declare function apicMsr(cpu: usize, msr: u32, low: u32, high: u32): void;
