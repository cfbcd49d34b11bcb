/** `window.ringside` in a browser: the contract over one WebSocket to the headless server. The server puts this before the renderer. */
import type { CallError, CallName, EventName, Events, RingsideApi } from '../ipc.ts';
import { decode, encode, type ToBrowser } from './codec.ts';

/** The part of WebSocket that is used. */
export interface Socket {
  binaryType: string;
  send(data: Uint8Array<ArrayBuffer>): void;
  onopen: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
}

/** Milliseconds between attempts to connect again. */
const RETRY = 1000;

export function connect(open: () => Socket, later: (work: () => void, ms: number) => void = setTimeout): RingsideApi {
  const listeners = new Map<EventName, Set<(payload: never) => void>>();
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: CallError): void }>();
  let queue: Uint8Array<ArrayBuffer>[] = [];
  let socket: Socket | undefined;
  let nextId = 1;
  let connectedBefore = false;

  const tell = (event: EventName, payload: unknown): void => {
    for (const listener of listeners.get(event) ?? []) (listener as (payload: unknown) => void)(payload);
  };
  const receive = (message: ToBrowser): void => {
    if (message.type === 'event') return tell(message.event, message.payload);
    const call = pending.get(message.id);
    pending.delete(message.id);
    if (message.type === 'result') call?.resolve(message.value);
    else call?.reject(message.error);
    return undefined;
  };
  const begin = (): void => {
    const fresh = open();
    fresh.binaryType = 'arraybuffer';
    fresh.onopen = () => {
      socket = fresh;
      const waiting = queue;
      queue = [];
      for (const frame of waiting) fresh.send(frame);
      if (connectedBefore) tell('connection', { connected: true } satisfies Events['connection']);
      connectedBefore = true;
    };
    fresh.onmessage = ({ data }) => receive(decode(new Uint8Array(data as ArrayBuffer)) as ToBrowser);
    fresh.onclose = () => {
      const lost = socket === fresh;
      socket = undefined;
      // Whether these were done is not known; the caller must not wait for ever.
      const calls = [...pending.values()];
      pending.clear();
      queue = [];
      for (const call of calls) call.reject({ message: 'The connection to Ringside was lost.' });
      if (lost) tell('connection', { connected: false } satisfies Events['connection']);
      later(begin, RETRY);
    };
  };
  begin();

  const call = (name: CallName, args: unknown = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = nextId++;
      pending.set(id, { resolve, reject });
      const frame = encode({ type: 'call', id, name, args });
      if (socket !== undefined) socket.send(frame);
      else queue.push(frame);
    });
  return {
    shell: 'browser',
    call: call as RingsideApi['call'],
    on(event, listener) {
      let set = listeners.get(event);
      if (set === undefined) listeners.set(event, (set = new Set()));
      set.add(listener);
      return () => set.delete(listener);
    },
  };
}
