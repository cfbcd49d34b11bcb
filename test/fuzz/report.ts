/** A program in words: settings, disassembly, how the engines differ. */
import { disassemble } from '../../core/processor/disassemble.ts';
import { CODE_16, CODE_32, CODE_64, Record } from '../../core/state/index.ts';
import { assemble } from './assembler.ts';
import type { FuzzMachine } from './machine.ts';
import * as P from './places.ts';
import type { Program } from './program.ts';
import type { Outcome } from './run.ts';

const hex = (n: number): string => n.toString(16);

/** The listing of a program; `machine` does the decoding. */
function listing(program: Program, machine: FuzzMachine): string[] {
  const code = assemble(program.steps)!;
  machine.begin(program, code);
  const { bytes, view, ram } = machine;
  const targets = new Set(code.labels.values());
  const out: string[] = [];
  let mode = program.settings.bits === 64 ? CODE_64 : CODE_32;
  for (const { offset, length } of code.places)
    for (let at = offset; at < offset + length;) {
      const address = P.CODE + at;
      const record = machine.decode(mode, address);
      const count = view.getUint8(record + Record.offsets.length);
      const text = disassemble(view, record, view.getUint32(record + Record.offsets.handler, true), BigInt(address));
      const shown = Buffer.from(bytes.slice(ram + address, ram + address + count)).toString('hex');
      out.push(`${targets.has(address) ? '>' : ' '} ${hex(address)}  ${shown.padEnd(24)} ${text}`);
      at += Math.max(count, 1);
      // A far transfer changes how the next is to be read.
      if (/^(jmp|retf|call) 0x(38|3b|40):|^retf/.test(text)) mode = narrowMode(program, text);
      else if (/^jmp 0x(8|1b|2b):/.test(text)) mode = program.settings.bits === 64 ? CODE_64 : CODE_32;
    }
  return out;
}

/** RETF is how 64-bit programs go into other segments: which one is on the stack, pushed as an immediate before. */
function narrowMode(program: Program, text: string): number {
  return text.startsWith('retf') && program.settings.bits === 64 ? CODE_32 : CODE_16;
}

export function report(program: Program, outcome: Outcome, machine: FuzzMachine): string {
  const { settings, pace } = program;
  const lines = [
    `${settings.bits}-bit${settings.pae ? ', PAE' : ''}, ring ${settings.ring}, flags ${hex(settings.flags)}, cr0 ${hex(settings.cr0)}, cr4 ${hex(settings.cr4)}, mxcsr ${hex(settings.mxcsr)}, fcw ${hex(settings.fpuControl)}, fill ${settings.fill}`,
    `after ${pace.after}, compiled ${pace.compile}, batch ${pace.batch}, regions ${pace.regions}, revisit ${pace.revisit}, turn ${pace.turn}, interrupts ${pace.interrupts}, patches ${pace.patches}, seed ${pace.seed}, most ${pace.most}`,
    ...listing(program, machine),
    '',
    `after ${outcome.retired} instructions, ${outcome.events} events, ${outcome.stops} stops, exit ${outcome.exit}:`,
    ...outcome.differences.slice(0, 40).map((d) => `  ${d}`),
  ];
  return lines.join('\n');
}
