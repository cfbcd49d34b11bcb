/** The processor's WebAssembly modules, as the build makes them. */
import { tuneV8 } from '../wasm/tuning.ts';

/** Compiled once per process; they can be sent to other threads. */
export interface EngineModules {
  readonly trap: WebAssembly.Module;
  readonly helpers: WebAssembly.Module;
  readonly interpreter: WebAssembly.Module;
}

/** `read` gives a built file by its name. */
export async function compileModules(read: (name: string) => Promise<BufferSource>): Promise<EngineModules> {
  tuneV8();
  const compile = async (name: string): Promise<WebAssembly.Module> => WebAssembly.compile(await read(name));
  const [trap, helpers, interpreter] = await Promise.all(['trap.wasm', 'helpers.wasm', 'interpreter.wasm'].map(compile));
  return { trap: trap!, helpers: helpers!, interpreter: interpreter! };
}
