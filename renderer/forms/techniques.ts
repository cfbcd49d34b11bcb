/** Which techniques this version and this host offer, and why. */
import type { HostInfo, Technique } from '../../electron/ipc.ts';

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

export function techniques(host: Here | undefined): Choice[] {
  const here = hardwareHere(host);
  return [
    { technique: 'automatic', available: true, reasons: ['own'] },
    { technique: 'full', available: true, reasons: ['own'] },
    { technique: 'para', available: false, reasons: ['notYet', 'para'] },
    { technique: 'hardware', available: false, reasons: here === undefined ? ['notYet'] : ['notYet', here] },
  ];
}
