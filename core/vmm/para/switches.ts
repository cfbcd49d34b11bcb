/** The switches of paravirtualization (docs/paravirtualization.md says what they turn off). */
import { PARA_ASYNCHRONY, PARA_BATCHING } from '../../state/index.ts';

export interface ParaSwitches {
  /** Multicalls and lists are done in one exit. Off: every entry is an exit of its own. */
  readonly batching: boolean;
  /** Requests in shared rings are served while the vCPU goes on. Off: each at once, while it waits. */
  readonly asynchrony: boolean;
}

export const PARA_SWITCHES: ParaSwitches = { batching: true, asynchrony: true };

/** As `Para.switches` has them. */
export const paraBits = ({ batching, asynchrony }: ParaSwitches): number =>
  (batching ? PARA_BATCHING : 0) | (asynchrony ? PARA_ASYNCHRONY : 0);
