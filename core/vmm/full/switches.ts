/** The switches of full virtualization (docs/full-virtualization.md says what they turn off). */
import { FULL_ADAPT, FULL_ON, FULL_TRANSLATE } from '../../state/index.ts';

export interface FullSwitches {
  /** Sensitive instructions are rewritten to call-outs. Off: trap-and-emulate alone, which is wrong for them. */
  readonly translateSensitive: boolean;
  /** Privileged instructions that keep trapping are rewritten too. */
  readonly adaptive: boolean;
}

export const FULL_SWITCHES: FullSwitches = { translateSensitive: true, adaptive: true };

/** As `Control.full` has them; undefined: the guest runs bare. */
export function fullBits(switches: FullSwitches | undefined): number {
  if (switches === undefined) return 0;
  return FULL_ON | (switches.translateSensitive ? FULL_TRANSLATE : 0) | (switches.adaptive ? FULL_ADAPT : 0);
}
