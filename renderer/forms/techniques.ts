/** Which techniques this version and this host offer, and why. */
import type { HostInfo, Source, Technique } from '../../electron/ipc.ts';

export interface Choice {
  readonly technique: Technique | 'automatic';
  readonly available: boolean;
  /** Why: keys under `technique.reason` in the locales. */
  readonly reasons: readonly string[];
}

type Here = Pick<HostInfo, 'kvm' | 'disabledByFirmware'>;

/** What this computer could do for the hardware-assisted technique: a key under `technique.reason`; undefined: not known yet. */
export function hardwareHere(host: Here | undefined): `host-${'usable' | 'permission' | 'firmware' | 'none'}` | undefined {
  if (host === undefined) return undefined;
  if (host.kvm === 'usable') return 'host-usable';
  if (host.disabledByFirmware === true) return 'host-firmware';
  return host.kvm === 'no-permission' ? 'host-permission' : 'host-none';
}

/** Whether what a VM starts from can be paravirtualized. Of a kernel's file only the start tells. */
export const paraServes = (source: Source['kind']): boolean => source !== 'disk';

export function techniques(host: Here | undefined, source: Source['kind']): Choice[] {
  const here = hardwareHere(host);
  const para = paraServes(source);
  return [
    { technique: 'automatic', available: true, reasons: ['own'] },
    { technique: 'full', available: true, reasons: ['own'] },
    { technique: 'para', available: para, reasons: [...(para ? ['own'] : []), `source-${source}`] },
    { technique: 'hardware', available: false, reasons: here === undefined ? ['notYet'] : ['notYet', here] },
  ];
}
