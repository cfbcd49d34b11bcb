import { describe, expect, it } from 'vitest';
import type { VmDraft } from '../../electron/ipc.ts';
import {
  changedFields, chooseKind, chooseTechnique, emptyForm, freeName, fromDraft, memoryZone, memoryZones, missesConsole, stepOf, switchedOff, toVmDraft,
} from './draft.ts'; // prettier-ignore

const kernel: VmDraft = {
  name: 'Linux',
  source: { kind: 'kernel', kernel: '/k', initrd: '/i', append: 'console=ttyS0', modules: ['/m'] },
  memory: 512,
  vcpus: 2,
  cpu: 'qemu64,-sse4_2',
  technique: 'full',
  full: { translateSensitive: true, adaptive: false },
  engine: 'interpreter',
  disks: [{ path: '/d', readonly: true }, { path: '/e' }],
  serials: 2,
  notes: 'two\nlines',
};

describe('the form', () => {
  it('gives every definition back as it was', () => {
    expect(toVmDraft(fromDraft(kernel))).toEqual(kernel);
    const builtin: VmDraft = { name: 'a', source: { kind: 'builtin', append: 'quiet' }, memory: 64, vcpus: 1, disks: [], serials: 1 };
    expect(toVmDraft(fromDraft(builtin))).toEqual(builtin);
    const disk: VmDraft = { ...builtin, source: { kind: 'disk' }, disks: [{ path: '/d' }] };
    expect(toVmDraft(fromDraft(disk))).toEqual(disk);
  });

  it('leaves the switches of full virtualization out with another technique', () => {
    const form = fromDraft(kernel);
    form.technique = 'automatic';
    expect(toVmDraft(form)).not.toHaveProperty('full');
    form.technique = 'full';
    expect(toVmDraft(form).full).toEqual({ translateSensitive: true, adaptive: false });
  });

  it('keeps the switches of each technique, and gives the core those of the one that is chosen', () => {
    const form = { ...fromDraft(kernel), para: { batching: false, asynchrony: true } };
    chooseTechnique(form, 'para');
    const draft = toVmDraft(form);
    expect(draft).toMatchObject({ technique: 'para', para: { batching: false, asynchrony: true } });
    expect(draft).not.toHaveProperty('full');
    expect(toVmDraft(fromDraft(draft))).toEqual(draft);
    expect([kernel, draft, { technique: 'para' } as const].map(switchedOff)).toEqual([['adaptive'], ['batching'], []]);
  });

  it('goes to the console that the technique has, unless a command line was written', () => {
    const form = { ...emptyForm(''), kind: 'kernel' as const };
    chooseTechnique(form, 'para');
    expect(form.append).toBe('console=hvc0');
    expect(missesConsole(form)).toBe(false);
    chooseTechnique(form, 'full');
    expect(form.append).toBe('console=ttyS0');
    form.append = 'quiet console=ttyS0,115200';
    chooseTechnique(form, 'para');
    expect(form.append).toBe('quiet console=ttyS0,115200');
    expect(missesConsole(form)).toBe(true);
    form.append += ' console=hvc0';
    expect(missesConsole(form)).toBe(false);
  });

  it('keeps what was typed for another source', () => {
    const form = fromDraft(kernel);
    chooseKind(form, 'builtin');
    expect(toVmDraft(form).source).toEqual({ kind: 'builtin' });
    chooseKind(form, 'kernel');
    expect(toVmDraft(form).source).toEqual(kernel.source);
  });

  it('proposes memory by source until the user has chosen some', () => {
    const form = emptyForm('');
    expect(form.memory).toBe(64);
    chooseKind(form, 'kernel');
    expect(form.memory).toBe(512);
    form.memory = 700;
    chooseKind(form, 'builtin');
    expect(form.memory).toBe(700);
  });

  it('leaves out empty options, and sends emptied numbers as 0 for the core to refuse', () => {
    const form = {
      ...emptyForm('x'),
      kind: 'kernel' as const,
      kernel: ' /k ',
      initrd: ' ',
      append: '',
      modules: ['', ' '],
      memory: undefined,
    };
    expect(toVmDraft(form)).toEqual({ name: 'x', source: { kind: 'kernel', kernel: '/k' }, memory: 0, vcpus: 1, disks: [], serials: 1 });
  });
});

it('finds the step of a mistake', () => {
  expect(stepOf('source.kernel')).toBe('source');
  expect(stepOf('disks.0.path')).toBe('disks');
  for (const field of ['memory', 'para.batching']) expect(stepOf(field)).toBe('compute');
  expect(stepOf('name')).toBe('summary');
  expect(stepOf(undefined)).toBe('summary');
});

it('tells which parts changed', () => {
  expect(changedFields(kernel, { ...kernel })).toEqual(new Set());
  const { notes: _, ...without } = kernel;
  expect(changedFields(kernel, { ...without, name: 'Other', disks: [] })).toEqual(new Set(['notes', 'name', 'disks']));
});

it('draws the zones where memory gets tight and where it ends', () => {
  const host = { memory: 8000, memoryFree: 5000 };
  expect(memoryZone(4000, host)).toBe('comfortable');
  expect(memoryZone(4001, host)).toBe('tight');
  expect(memoryZone(8001, host)).toBe('over');
  expect(memoryZones(host, 3584)).toEqual({ tight: 1, over: 1 });
  expect(memoryZones({ memory: 2000, memoryFree: 200 }, 4000)).toEqual({ tight: 0, over: 0.5 });
});

it('finds a name that is free', () => {
  expect(freeName('a', [])).toBe('a');
  expect(freeName('a', ['a', 'a 2'])).toBe('a 3');
});
