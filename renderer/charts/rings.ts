/** Who is in which ring of the processor, by technique, and which part of the load is theirs. */
import type { Technique } from '../../electron/ipc.ts';
import type { LoadState } from '../stores/load-history.ts';

export interface Place {
  /** 0 to 3; absent: not within the guest's processor. */
  readonly ring?: 0 | 1 | 2 | 3;
  /** A key under `rings.who` in the locales. */
  readonly who:
    | 'applications'
    | 'kernel'
    | 'kernelCompressed'
    | 'kernelPara'
    | 'vmm'
    | 'vmmHypercalls'
    | 'vmmOutside'
    | 'nobody'
    | 'idle'
    | 'waiting';
  /** States of the load whose time is spent there. */
  readonly states: readonly LoadState[];
}

/** How the rings are given out: a key under `rings.caption` and `rings.intro` in the locales. */
export type Arrangement = 'bare' | 'full' | 'para';

export const arrangementOf = (technique: Technique | 'automatic'): Arrangement =>
  technique === 'full' || technique === 'para' ? technique : 'bare';

const APPLICATIONS: Place = { ring: 3, who: 'applications', states: ['guestUser'] };
const nobody = (ring: 1 | 2): Place => ({ ring, who: 'nobody', states: [] });

/** From the outermost ring inwards. Two that share a ring are told apart by their page tables. */
const RINGS: Readonly<Record<Arrangement, readonly Place[]>> = {
  bare: [APPLICATIONS, nobody(2), nobody(1), { ring: 0, who: 'kernel', states: ['guestKernel'] }, { who: 'vmmOutside', states: ['vmm'] }],
  full: [APPLICATIONS, nobody(2), { ring: 1, who: 'kernelCompressed', states: ['guestKernel'] }, { ring: 0, who: 'vmm', states: ['vmm'] }],
  para: [
    APPLICATIONS,
    { ring: 3, who: 'kernelPara', states: ['guestKernel'] },
    nobody(2),
    nobody(1),
    { ring: 0, who: 'vmmHypercalls', states: ['vmm'] },
  ],
};

/** Then what is in no ring. */
export const places = (arrangement: Arrangement): readonly Place[] => [
  ...RINGS[arrangement],
  { who: 'idle', states: ['halted'] },
  { who: 'waiting', states: ['ready', 'blocked'] },
];
