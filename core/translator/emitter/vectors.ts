/** The translator's emitter, fifth part: XMM and MMX operands. */
import type { Width } from '../../processor/semantics/widths.ts';
import { Reach } from '../../state/index.ts';
import { i32, i64, op, v128, type Expr, type LocalRef } from '../../wasm/index.ts';
import { loadOp, O, storeOp } from './frame.ts';
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
    if (bits === 128 && !unaligned) this.aligned();
    const host = this.access('read', this.segment(), this.effectiveAddress(), bits / 8);
    if (bits === 128) return f.let(op('v128.load', [host]));
    if (bits === 64) return f.let(op('v128.load64_zero', [host]));
    if (bits === 32) return f.let(op('v128.load32_zero', [host]));
    return f.let(op('i32x4.replace_lane', [v128.const(new Uint8Array(16)), op(loadOp(bits as Width), [host])], 0));
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
    if (bits === 128 && !unaligned) this.aligned();
    this.storeAt(this.segment(), this.effectiveAddress(), bits / 8, (host) => {
      if (bits === 128) f.do('v128.store', [host, v]);
      else if (bits === 64) f.do('i64.store', [host, op('i64x2.extract_lane', [v], 0)]);
      else f.do(storeOp(bits as Width), [host, op('i32x4.extract_lane', [v], 0)]);
    });
  }

  xmm(register: number): Expr {
    return op('v128.load', [this.cpu], O.xmm + 16 * register);
  }

  setXmm(register: number, value: Expr): void {
    this.f.do('v128.store', [this.cpu, value], O.xmm + 16 * register);
  }

  /** A 16-byte operand that is not aligned raises #GP(0) (vol. 1, 10.4.1.1). */
  protected aligned(): void {
    const segment = this.segment();
    let low = i32.wrap(this.effectiveAddress());
    if (this.based(segment)) low = i32.add(low, op('i32.load', [this.cpu], segment + Reach.offsets.base));
    this.f.ifRarely(i32.and(low, i32.const(15)), () => this.helper('generalProtection', [i32.const(0)]));
  }
}
