import { expect, it } from 'vitest';
import { en } from '../locales/en.ts';
import { hardwareHere, techniques } from './techniques.ts';

const HOSTS = [
  undefined,
  { kvm: 'usable', disabledByFirmware: false },
  { kvm: 'no-permission', disabledByFirmware: false },
  { kvm: 'absent', disabledByFirmware: true },
  { kvm: 'absent', disabledByFirmware: 'unknown' },
  { kvm: 'unsupported-os', disabledByFirmware: 'unknown' },
] as const;
const SOURCES = ['kernel', 'builtin', 'disk'] as const;

it('offers what this version has for the source, whatever the host', () => {
  for (const host of HOSTS) {
    const offered = SOURCES.map((source) => techniques(host, source).flatMap(({ technique, available }) => (available ? [technique] : [])));
    expect(offered).toEqual([['automatic', 'full', 'para'], ['automatic', 'full', 'para'], ['automatic', 'full']]); // prettier-ignore
  }
});

it('says what the host could do for hardware assistance', () => {
  expect(HOSTS.map(hardwareHere)).toEqual([undefined, 'host-usable', 'host-permission', 'host-firmware', 'host-none', 'host-none']);
});

it('has words for each technique and reason', () => {
  for (const { technique, reasons } of HOSTS.flatMap((host) => SOURCES.flatMap((source) => techniques(host, source)))) {
    expect(en.technique).toHaveProperty(technique);
    expect(en.technique).toHaveProperty(`${technique}Hint`);
    for (const reason of reasons) expect(en.technique.reason).toHaveProperty(reason);
  }
});
