import { beforeAll, expect, test } from 'vitest';
import { CODE_16, CODE_32, CODE_64, Record } from '../state/index.ts';
import { disassemble } from './disassemble.ts';
import { Machine, prepareMachines } from './machine-fixture.ts';

let machine: Machine;
beforeAll(async () => {
  await prepareMachines();
  machine = new Machine();
});

function text(mode: number, bytes: string): string {
  machine.put(0x8010, ...Buffer.from(bytes, 'hex'));
  const { record } = machine.decode(mode, 0x8010);
  const view = new DataView(machine.buffer);
  return disassemble(view, record, view.getUint32(record + Record.offsets.handler, true), 0x8010n);
}

test.each<[number, string, string]>([
  [CODE_64, '48 01 d8', 'add rax, rbx'],
  [CODE_64, '40 88 f4', 'mov spl, sil'],
  [CODE_64, '88 e4', 'mov ah, ah'],
  [CODE_64, '66 81 43 f0 34 12', 'add word [rbx-0x10], 0x1234'],
  [CODE_64, '83 e8 ff', 'sub eax, -0x1'],
  [CODE_64, '8b 05 f0 ff ff ff', 'mov eax, dword [rel 0x8006]'],
  [CODE_64, '42 8b 84 80 00 00 00 80', 'mov eax, dword [rax+r8*4-0x80000000]'],
  [CODE_64, '67 8b 04 25 00 00 00 80', 'mov eax, dword [0x80000000]'],
  [CODE_64, '65 48 8b 45 00', 'mov rax, qword [gs:rbp]'],
  [CODE_32, '3e 8b 45 00', 'mov eax, dword [ds:ebp]'],
  [CODE_16, '8b 42 02', 'mov ax, word [bp+si+0x2]'],
  [CODE_64, '48 98', 'cdqe'],
  [CODE_32, 'f3 a5', 'rep movsd'],
  [CODE_64, 'f0 0f b1 0b', 'lock cmpxchg dword [rbx], ecx'],
  [CODE_64, 'eb fe', 'jmp 0x8010'],
  [CODE_64, 'f2 41 0f 58 c1', 'addsd xmm0, xmm9'],
  [CODE_32, 'de c1', 'faddp st1, st0'],
  [CODE_32, '8e d8', 'mov ds, ax'],
  [CODE_32, '0f 22 d8', 'mov cr3, eax'],
  [CODE_64, 'c8 10 00 01', 'enter 0x10, 0x1'],
  [CODE_32, 'ea 00 10 00 00 18 00', 'jmp 0x18:0x1000'],
  [CODE_64, '06', '(undefined)'],
])('mode %i: %s is %s', (mode, bytes, wanted) => expect(text(mode, bytes.replaceAll(' ', ''))).toBe(wanted));
