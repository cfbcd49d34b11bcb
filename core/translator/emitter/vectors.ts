/** The translator's emitter, fifth part: XMM and MMX operands. */
import type { Width } from '../../processor/semantics/widths.ts';
import { i64, op, v128, type Expr, type LocalRef } from '../../wasm/index.ts';
import type { Item } from '../access.ts';
import { O } from './frame.ts';
import { MemoryEmitter } from './memory.ts';

export abstract class VectorEmitter extends MemoryEmitter {
  readVector(i: number, unaligned = false): LocalRef {
    const o = this.row.operands[i]!;
    const { f, cpu } = this;
    if (!this.isMemory(i)) {
      const slot = o.kind === 'xmm0' ? O.xmm : this.slot(o);
      return f.let(op(o.kind === 'mm' || o.kind === 'mmrm' ? 'v128.load64_zero' : 'v128.load', [cpu], slot));
    }
    const bits = typeof o.size === 'number' ? o.size : 64;
    const read = (item: Item): LocalRef => this.readMemory(item, this.memoryPlace());
    if (bits === 128) return read(unaligned ? 128 : 'aligned128');
    if (bits === 64) return read('low64');
    if (bits === 32) return read('low32');
    return f.let(op('i32x4.replace_lane', [v128.const(new Uint8Array(16)), read(bits as Width)], 0));
  }

  writeVector(i: number, value: Expr, unaligned = false): void {
    const o = this.row.operands[i]!;
    const { f, cpu } = this;
    if (!this.isMemory(i)) {
      const slot = this.slot(o);
      if (o.kind === 'mm' || o.kind === 'mmrm') {
        f.do('i64.store', [cpu, op('i64x2.extract_lane', [value], 0)], slot);
        // As an x87 register, a written MMX register is a NaN (vol. 1, 9.2.3).
        f.do('i64.store', [cpu, i64.const(0xffff)], slot + 8);
      } else f.do('v128.store', [cpu, value], slot);
      return;
    }
    const bits = typeof o.size === 'number' ? o.size : 64;
    const v = f.let(value);
    const write = (item: Item, part: Expr): void => this.writeMemory(item, this.memoryPlace(), part);
    if (bits === 128) write(unaligned ? 128 : 'aligned128', v);
    else if (bits === 64) write(64, op('i64x2.extract_lane', [v], 0));
    else write(bits as Width, op('i32x4.extract_lane', [v], 0));
  }

  xmm(register: number): Expr {
    return op('v128.load', [this.cpu], O.xmm + 16 * register);
  }

  setXmm(register: number, value: Expr): void {
    this.f.do('v128.store', [this.cpu, value], O.xmm + 16 * register);
  }
}
