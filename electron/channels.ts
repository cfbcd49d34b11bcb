/** The two channels of Electron's IPC: everything goes through one door each way, which knows the contract. */
import type { CallError } from './ipc.ts';

export const CALL = 'ringside:call';
export const EVENT = 'ringside:event';

/** What `CALL` resolves to. Electron would wrap a rejection in its own words, so errors travel as values. */
export type Answer = { readonly value: unknown } | { readonly error: CallError };
