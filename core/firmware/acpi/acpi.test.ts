import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testTarget } from '../fixture.ts';
import * as aml from './aml.ts';
import { RSDP, writeAcpiTables } from './tables.ts';

describe('AML', () => {
  it('encodes names, integers and package lengths', () => {
    expect(aml.path('\\_SB.PCI0')).toEqual([0x5c, 0x2e, ...Buffer.from('_SB_PCI0')]);
    expect(aml.path('A.B.C')).toEqual([0x2f, 3, ...Buffer.from('A___B___C___')]);
    expect([0, 1, 2, 0x1234, 0x12345678].map((n) => aml.integer(n).length)).toEqual([1, 1, 2, 3, 5]);
    expect(aml.integer(2 ** 40)).toEqual([0x0e, 0, 0, 0, 0, 0, 1, 0, 0]);
    expect(aml.pack(aml.integer(1)).slice(0, 3)).toEqual([0x12, 3, 1]);
    const long = aml.scope(
      'X',
      Array.from({ length: 100 }, () => 0xa3),
    );
    expect(long.slice(1, 3)).toEqual([0x40 | (106 & 15), 106 >> 4]);
    expect(long).toHaveLength(107);
    expect(() => aml.path('toolong')).toThrow();
  });

  it('compresses EISA identifiers', () => {
    expect(aml.eisaId('PNP0A03')).toEqual([0x0c, 0x41, 0xd0, 0x0a, 0x03]);
    expect(aml.eisaId('PNP0501')).toEqual([0x0c, 0x41, 0xd0, 0x05, 0x01]);
  });
});

function tables() {
  const target = testTarget({ vcpus: 3 });
  const { memory } = target;
  const rsdp = writeAcpiTables(memory, target);
  const found = new Map<string, Uint8Array>();
  const at = (address: number): Uint8Array => memory.bytes(address, memory.read32(address + 4)).slice();
  const name = (t: Uint8Array): string => new TextDecoder().decode(t.subarray(0, 4));
  const add = (t: Uint8Array): Uint8Array => (found.set(name(t), t), t);
  const rsdt = add(at(memory.read32(rsdp + 16)));
  const xsdt = add(at(memory.read32(rsdp + 24)));
  for (let i = 36; i < rsdt.length; i += 4) add(at(new DataView(rsdt.buffer).getUint32(i, true)));
  add(at(new DataView(found.get('FACP')!.buffer).getUint32(40, true)));
  return { target, memory, found, xsdt, rsdp };
}

describe('ACPI tables', () => {
  it('are found from the RSDP, with right checksums', () => {
    const { memory, found, xsdt, rsdp } = tables();
    expect(rsdp).toBe(RSDP);
    const sum = (bytes: Uint8Array): number => bytes.reduce((n, b) => (n + b) & 0xff, 0);
    expect(new TextDecoder().decode(memory.bytes(rsdp, 8).slice())).toBe('RSD PTR ');
    expect([sum(memory.bytes(rsdp, 20)), sum(memory.bytes(rsdp, 36))]).toEqual([0, 0]);
    expect([...found.keys()].sort()).toEqual(['APIC', 'DSDT', 'FACP', 'RSDT', 'XSDT']);
    for (const table of found.values()) expect(sum(table)).toBe(0);
    expect(new DataView(xsdt.buffer).getUint32(36 + 4, true)).toBe(0);
    const facs = new DataView(found.get('FACP')!.buffer).getUint32(36, true);
    expect(new TextDecoder().decode(memory.bytes(facs, 4).slice())).toBe('FACS');
    expect(facs % 64).toBe(0);
  });

  it('list every processor', () => {
    const { found } = tables();
    const madt = found.get('APIC')!;
    const ids: number[] = [];
    for (let i = 44; i < madt.length; i += madt[i + 1]!) if (madt[i] === 0) ids.push(madt[i + 3]!);
    expect(ids).toEqual([0, 1, 2]);
  });

  it('are accepted by ACPICA’s disassembler, where it is installed', (context) => {
    try {
      execFileSync('iasl', ['-v'], { stdio: 'ignore' });
    } catch {
      context.skip('iasl is not installed');
    }
    const folder = mkdtempSync(join(tmpdir(), 'acpi-'));
    try {
      writeFileSync(join(folder, 'dsdt.aml'), tables().found.get('DSDT')!);
      execFileSync('iasl', ['-d', 'dsdt.aml'], { cwd: folder, stdio: 'pipe' });
      const again = execFileSync('iasl', ['-oa', 'dsdt.dsl'], { cwd: folder, stdio: 'pipe' }).toString();
      expect(again).toMatch(/0 Errors/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
