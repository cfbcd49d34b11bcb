/** The messages between a process's main thread and its compiler's (worker.ts). */

export interface CompilerData {
  /** Of the `Bell` that wakes it: for a message, or a request in a machine's memory. */
  readonly bell: SharedArrayBuffer;
}

/** A number for a machine, of the sender's choice. */
export type ToCompiler =
  | { readonly type: 'attach'; readonly key: number; readonly memory: WebAssembly.Memory }
  | { readonly type: 'detach'; readonly key: number };

/** Something that should not happen. */
export interface FromCompiler {
  readonly type: 'note';
  readonly key: number;
  readonly text: string;
}
