/** Which techniques this version and this host offer. */
import type { HostInfo, Technique } from '../../electron/ipc.ts';

export interface Choice {
  readonly technique: Technique | 'automatic';
  /** Why not, as a key under `technique` in the locales. */
  readonly why?: 'notYet' | 'noKvm';
}

/** What this version can run. A technique joins when its VMM does. */
const BUILT: ReadonlySet<Choice['technique']> = new Set(['automatic', 'full']);

export function techniques(host: Pick<HostInfo, 'kvm'> | undefined): Choice[] {
  return (['automatic', 'full', 'para', 'hardware'] as const).map((technique) => {
    if (technique === 'hardware' && BUILT.has('hardware') && host?.kvm !== 'usable') return { technique, why: 'noKvm' };
    return BUILT.has(technique) ? { technique } : { technique, why: 'notYet' };
  });
}
