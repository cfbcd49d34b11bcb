/** The contract over Electron's IPC. */
import { CALL, EVENT, type Answer } from '../channels.ts';
import type { EventName, RingsideApi } from '../ipc.ts';

/** The part of ipcRenderer that is used. */
export interface Wire {
  invoke(channel: string, ...args: unknown[]): Promise<unknown>;
  on(channel: string, listener: (...args: unknown[]) => void): void;
}

export function bridge(wire: Wire): RingsideApi {
  const listeners = new Map<unknown, Set<(payload: never) => void>>();
  wire.on(EVENT, (event, payload) => {
    for (const listener of listeners.get(event) ?? []) (listener as (payload: unknown) => void)(payload);
  });
  const call = async (name: string, args: unknown = {}): Promise<unknown> => {
    const answer = (await wire.invoke(CALL, name, args)) as Answer;
    if ('error' in answer) throw answer.error;
    return answer.value;
  };
  return {
    shell: 'electron',
    call: call as RingsideApi['call'],
    on(event: EventName, listener: (payload: never) => void) {
      let set = listeners.get(event);
      if (set === undefined) listeners.set(event, (set = new Set()));
      set.add(listener);
      return () => {
        set.delete(listener);
      };
    },
  };
}
