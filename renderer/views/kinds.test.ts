import { describe, expect, it } from 'vitest';
import { en } from '../locales/en.ts';
import { kindsOf, PARTS, WAYS } from './kinds.ts';
import type { Kind } from './kinds.ts';

const vm = { source: { kind: 'kernel', kernel: '/k' }, disks: [], serials: 1 } as const;
const host = { kvm: 'usable', disabledByFirmware: false } as const;
const shown = (kinds: Kind[]): Record<string, string> =>
  Object.fromEntries(kinds.map(({ part, way, status, by }) => [`${part} ${way}`, `${status}: ${by.join(' ')}`]));

describe('the nine kinds', () => {
  it('bare: no technique at work, devices are', () => {
    expect(shown(kindsOf(vm, 'automatic', host))).toEqual({
      'cpu full': 'could: bareCpu chooseFull',
      'cpu para': 'could: choosePara source-kernel',
      'cpu hardware': 'not: entries host-usable',
      'memory full': 'could: bareMemory chooseFull',
      'memory para': 'could: choosePara source-kernel',
      'memory hardware': 'not: nestedPaging host-usable',
      'io full': 'serves: devices',
      'io para': 'serves: virtioEntropy drivers',
      'io hardware': 'not: passthrough',
    });
    expect(kindsOf(vm, undefined, host)).toEqual(kindsOf(vm, 'automatic', host));
  });

  it('full: CPU and memory are served, as the switches say', () => {
    expect(shown(kindsOf(vm, 'full', host))).toMatchObject({ 'cpu full': 'serves: ringsTranslated', 'memory full': 'serves: shadow' });
    const off = { ...vm, full: { translateSensitive: false, adaptive: false } };
    expect(shown(kindsOf(off, 'full', host))).toMatchObject({ 'cpu full': 'serves: ringsTrapOnly notAdaptive' });
  });

  it('para: CPU, memory and devices are served, as the switches say, and there is no PC', () => {
    const disks = [{ path: '/d' }];
    expect(shown(kindsOf({ ...vm, disks }, 'para', host))).toMatchObject({
      'cpu full': 'could: notHidden chooseFull',
      'cpu para': 'serves: hypercalls',
      'memory full': 'could: notShadowed chooseFull',
      'memory para': 'serves: directPaging',
      'io full': 'could: noPc chooseFull',
      'io para': 'serves: paraConsole paraBlock',
    });
    const off = { ...vm, para: { batching: false, asynchrony: false } };
    expect(shown(kindsOf(off, 'para', host))).toMatchObject({
      'cpu para': 'serves: hypercalls notBatched',
      'io para': 'serves: paraConsole notAsynchronous',
    });
  });

  it('says what paravirtualization wants of the source', () => {
    for (const [kind, why] of [
      ['builtin', 'choosePara source-builtin'],
      ['disk', 'source-disk'],
    ] as const)
      expect(shown(kindsOf({ ...vm, source: { kind } }, 'automatic', host))).toMatchObject({
        'cpu para': `could: ${why}`,
        'memory para': `could: ${why}`,
      });
  });

  it('the devices are those of this VM', () => {
    const disks = [{ path: '/d' }];
    expect(shown(kindsOf({ ...vm, disks }, 'full', host))).toMatchObject({ 'io para': 'serves: virtioBlock virtioEntropy drivers' });
    expect(shown(kindsOf({ ...vm, source: { kind: 'disk' }, disks }, 'full', host))).toMatchObject({ 'io full': 'serves: devices bios' });
    expect(shown(kindsOf({ ...vm, source: { kind: 'builtin' } }, 'full', host))).toMatchObject({
      'io para': 'could: virtioEntropy noDrivers',
    });
  });

  it('has words for everything that it says', () => {
    const kvms = ['usable', 'no-permission', 'absent'] as const;
    for (const kvm of kvms)
      for (const disabledByFirmware of [true, false])
        for (const source of [{ kind: 'builtin' }, { kind: 'disk' }, vm.source] as const)
          for (const technique of ['automatic', 'full', 'para'] as const)
            for (const by of kindsOf({ ...vm, source, disks: [{ path: '/d' }] }, technique, { kvm, disabledByFirmware }).flatMap(
              (each) => each.by,
            ))
              expect(by in en.kinds.by || by in en.technique.reason, by).toBe(true);
    for (const part of PARTS) for (const way of WAYS) expect(en.kinds.what[part][way]).toMatch(/\.$/);
  });
});
