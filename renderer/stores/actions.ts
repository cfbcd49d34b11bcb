/** Which action makes sense in which state, and why not otherwise. */
import type { VmState } from '../../electron/ipc.ts';

export const ACTIONS = ['start', 'pause', 'resume', 'shutdown', 'forceOff', 'reset', 'console', 'settings', 'rename', 'delete'] as const;
export type Action = (typeof ACTIONS)[number];

const POSSIBLE: Record<Action, readonly VmState[]> = {
  start: ['off', 'crashed', 'saved'],
  pause: ['running'],
  resume: ['paused'],
  // A paused guest would not see the button being pressed.
  shutdown: ['running'],
  forceOff: ['starting', 'running', 'paused', 'stopping'],
  reset: ['running', 'paused', 'stopping'],
  console: ['off', 'starting', 'running', 'paused', 'saved', 'stopping', 'crashed'],
  settings: ['off', 'starting', 'running', 'paused', 'saved', 'stopping', 'crashed'],
  rename: ['off', 'starting', 'running', 'paused', 'saved', 'stopping', 'crashed'],
  delete: ['off', 'crashed', 'saved'],
};

/**
 * Why `action` cannot be taken now, as a key under `why` in the locales; undefined if it can.
 * `state` undefined: no VM is chosen.
 */
export function whyNot(action: Action, state: VmState | undefined): string | undefined {
  if (state === undefined) return 'noVm';
  if (POSSIBLE[action].includes(state)) return undefined;
  switch (action) {
    case 'start':
      return state === 'paused' ? 'startPaused' : 'startOn';
    case 'pause':
      return state === 'paused' ? 'pausePaused' : isOn(state) ? 'notYetRunning' : 'off';
    case 'resume':
      return 'resumeNotPaused';
    case 'shutdown':
      return state === 'paused' ? 'shutdownPaused' : state === 'stopping' ? 'stopping' : state === 'starting' ? 'notYetRunning' : 'off';
    case 'reset':
      return state === 'starting' ? 'notYetRunning' : 'off';
    case 'delete':
      return 'deleteOn';
    default:
      return 'off';
  }
}

/** The VM has memory and vCPUs now. */
export function isOn(state: VmState): boolean {
  return state === 'starting' || state === 'running' || state === 'paused' || state === 'stopping';
}
