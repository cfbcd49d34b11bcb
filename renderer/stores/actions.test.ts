import { describe, expect, it } from 'vitest';
import type { VmState } from '../../electron/ipc.ts';
import { en } from '../locales/en.ts';
import { ACTIONS, isOn, whyNot } from './actions.ts';

const STATES: VmState[] = ['off', 'starting', 'running', 'paused', 'saved', 'stopping', 'crashed'];

describe('whyNot', () => {
  it('has a reason in words for every action that cannot be taken', () => {
    for (const action of ACTIONS) {
      for (const state of [...STATES, undefined]) {
        const why = whyNot(action, state);
        if (why !== undefined) expect(Object.keys(en.why), `${action} when ${state}`).toContain(why);
      }
    }
  });

  it('never offers to start and to stop at once', () => {
    for (const state of STATES) {
      expect(whyNot('start', state) === undefined, state).toBe(!isOn(state));
      expect(whyNot('forceOff', state) === undefined, state).toBe(isOn(state));
      expect(whyNot('delete', state) === undefined, state).toBe(!isOn(state));
    }
  });

  it('says what is the matter', () => {
    expect(whyNot('pause', 'off')).toBe('off');
    expect(whyNot('pause', 'starting')).toBe('notYetRunning');
    expect(whyNot('shutdown', 'paused')).toBe('shutdownPaused');
    expect(whyNot('start', undefined)).toBe('noVm');
  });
});
