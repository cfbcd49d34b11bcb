/** What stacked charts of a vCPU are made of: names, colours and hints in the order in which they are stacked, from the axis upwards. */
import { ACTIVITIES, LOAD_STATES } from '../stores/load-history.ts';
import type { Activity, LoadState } from '../stores/load-history.ts';

export interface Series {
  readonly key: string;
  /** A custom property of the theme: canvases cannot read classes. */
  readonly color: string;
  readonly name: string;
  readonly hint: string;
}

const LOAD_COLORS: Record<LoadState, string> = {
  guestUser: '--load-user',
  guestKernel: '--load-kernel',
  vmm: '--load-vmm',
  ready: '--load-ready',
  blocked: '--load-blocked',
  halted: '--load-idle',
};

const ACTIVITY_COLORS: Record<Activity, string> = {
  translated: '--load-user',
  interpreted: '--load-vmm',
  decoding: '--load-ready',
  compiling: '--load-blocked',
  mmu: '--load-kernel',
  devices: '--load-devices',
};

type Translate = (key: string) => string;

export const loadSeries = (t: Translate): Series[] =>
  LOAD_STATES.map((key) => ({ key, color: LOAD_COLORS[key], name: t(`cpu.${key}`), hint: t(`cpu.hints.${key}`) }));

export const activitySeries = (t: Translate): Series[] =>
  ACTIVITIES.map((key) => ({ key, color: ACTIVITY_COLORS[key], name: t(`cpu.activity.${key}`), hint: t(`cpu.activityHints.${key}`) }));
