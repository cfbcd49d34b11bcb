/** Colours of charts come from the theme's custom properties: canvases cannot read them by themselves. */
import type { LoadState } from '../stores/load-history.ts';

export const LOAD_COLORS: Record<LoadState, string> = {
  guestUser: '--load-user',
  guestKernel: '--load-kernel',
  vmm: '--load-vmm',
  ready: '--load-ready',
  blocked: '--load-blocked',
  halted: '--load-idle',
};

export function cssColor(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}
