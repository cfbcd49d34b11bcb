/** Builds a module: imports, functions, one table, exports. Memory is always imported and shared. */
import { Bytes } from './bytes.ts';
import { TYPE_CODE, type Type } from './expr.ts';
import type { FunctionBuilder } from './function.ts';

interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: 'function' | 'tag';
  readonly type: number;
}

/** The largest memory: 4 GiB. */
export const MEMORY_MAX_PAGES = 65536;

export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: Bytes[] = [];
  readonly #imports: Import[] = [];
  readonly #functions: { type: number; code: Bytes; rare: readonly number[] }[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  readonly #tags: number[] = [];
  #importedFunctions = 0;
  #importedTags = 0;
  #table: (number | undefined)[] = [];
  #tableImport = false;
  #memory = false;
  readonly #globals: Type[] = [];

  /** The index of a function type. */
  type(params: readonly Type[], results: readonly Type[]): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const b = new Bytes();
    b.u8(0x60);
    b.u32(params.length);
    for (const p of params) b.u8(TYPE_CODE[p]);
    b.u32(results.length);
    for (const r of results) b.u8(TYPE_CODE[r]);
    this.#types.push(key);
    this.#typeBytes.push(b);
    return this.#types.length - 1;
  }

  /** Imports `env.memory`. */
  importMemory(): void {
    this.#memory = true;
  }

  /** All imports of functions come before the first `function`. Returns the function's index. */
  importFunction(module: string, name: string, params: readonly Type[], results: readonly Type[]): number {
    if (this.#functions.length) throw new Error('import after a function');
    this.#imports.push({ module, name, kind: 'function', type: this.type(params, results) });
    return this.#importedFunctions++;
  }

  importTag(module: string, name: string): number {
    this.#imports.push({ module, name, kind: 'tag', type: this.type([], []) });
    return this.#importedTags++;
  }

  /** A tag of this module, without parameters. */
  tag(): number {
    this.#tags.push(this.type([], []));
    return this.#importedTags + this.#tags.length - 1;
  }

  function(f: FunctionBuilder): number {
    const code = f.encode();
    this.#functions.push({ type: this.type(f.params, f.results), code, rare: f.rareBranches });
    return this.#importedFunctions + this.#functions.length - 1;
  }

  /** A variable of this module, 0 at first, under a name for the host. Returns its index. */
  global(type: 'i32' | 'i64', name: string): number {
    this.#globals.push(type);
    this.#exports.push({ name, kind: 3, index: this.#globals.length - 1 });
    return this.#globals.length - 1;
  }

  exportFunction(name: string, index: number): void {
    this.#exports.push({ name, kind: 0, index });
  }

  /** The table, as "table". */
  exportTable(): void {
    this.#exports.push({ name: 'table', kind: 1, index: 0 });
  }

  /** Imports `env.table` in place of an own one. */
  importTable(): void {
    this.#tableImport = true;
  }

  exportTag(name: string, index: number): void {
    this.#exports.push({ name, kind: 4, index });
  }

  /** The table's functions by slot; empty slots trap. */
  table(slots: (number | undefined)[]): void {
    this.#table = slots;
  }

  /** Branch hints, which stand before the code: by function, the branch's place, and 0: not taken. */
  #hints(out: Bytes): void {
    const hinted = this.#functions
      .map(({ rare }, i) => ({ rare, index: this.#importedFunctions + i }))
      .filter(({ rare }) => rare.length > 0);
    if (hinted.length === 0) return;
    const b = new Bytes();
    b.name('metadata.code.branch_hint');
    b.u32(hinted.length);
    for (const { rare, index } of hinted) {
      b.u32(index);
      b.u32(rare.length);
      for (const at of rare) {
        b.u32(at);
        b.bytes([1, 0]);
      }
    }
    out.u8(0);
    out.u32(b.length);
    out.append(b);
  }

  encode(): Uint8Array<ArrayBuffer> {
    const out = new Bytes();
    out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const section = (id: number, count: number, fill: (b: Bytes) => void): void => {
      if (!count) return;
      const b = new Bytes();
      b.u32(count);
      fill(b);
      out.u8(id);
      out.u32(b.length);
      out.append(b);
    };
    section(1, this.#typeBytes.length, (b) => this.#typeBytes.forEach((t) => b.append(t)));
    section(2, this.#imports.length + Number(this.#memory) + Number(this.#tableImport), (b) => {
      if (this.#memory) {
        b.name('env');
        b.name('memory');
        b.bytes([2, 3]); // memory, shared with a maximum
        b.u32(1);
        b.u32(MEMORY_MAX_PAGES);
      }
      if (this.#tableImport) {
        b.name('env');
        b.name('table');
        b.bytes([1, 0x70, 0]); // table of functions, of any size
        b.u32(0);
      }
      for (const i of this.#imports) {
        b.name(i.module);
        b.name(i.name);
        if (i.kind === 'function') b.u8(0);
        else b.bytes([4, 0]);
        b.u32(i.type);
      }
    });
    section(3, this.#functions.length, (b) => this.#functions.forEach((f) => b.u32(f.type)));
    section(4, Number(this.#table.length > 0), (b) => {
      b.bytes([0x70, 1]);
      b.u32(this.#table.length);
      b.u32(this.#table.length);
    });
    section(13, this.#tags.length, (b) =>
      this.#tags.forEach((t) => {
        b.u8(0);
        b.u32(t);
      }),
    );
    section(6, this.#globals.length, (b) => this.#globals.forEach((t) => b.bytes([TYPE_CODE[t], 1, t === 'i32' ? 0x41 : 0x42, 0, 0x0b])));
    section(7, this.#exports.length, (b) =>
      this.#exports.forEach((e) => {
        b.name(e.name);
        b.u8(e.kind);
        b.u32(e.index);
      }),
    );
    const filled = this.#table.map((f, slot) => ({ f, slot })).filter((e) => e.f !== undefined);
    section(9, filled.length, (b) =>
      filled.forEach(({ f, slot }) => {
        b.u32(0);
        b.u8(0x41);
        b.s32(slot);
        b.u8(0x0b);
        b.u32(1);
        b.u32(f!);
      }),
    );
    this.#hints(out);
    section(10, this.#functions.length, (b) =>
      this.#functions.forEach((f) => {
        b.u32(f.code.length);
        b.append(f.code);
      }),
    );
    return out.view().slice() as Uint8Array<ArrayBuffer>;
  }
}
