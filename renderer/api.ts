/** The one way from the user interface to the core. */
import type { CallError, RingsideApi } from '../electron/ipc.ts';

let current: RingsideApi | undefined;

/** Called once, before the app is mounted. */
export function setApi(api: RingsideApi): void {
  current = api;
}

export function useApi(): RingsideApi {
  if (!current) throw new Error('setApi has not been called');
  return current;
}

/** The shortcut for a new VM: a browser keeps Ctrl+N for itself. */
export const newVmKey = (): string => (useApi().shell === 'browser' ? 'Alt+N' : 'Ctrl+N');

/** Rejections are plain objects (they cross Electron's bridge); anything else is a fault of ours and is shown as it is. */
export function toCallError(reason: unknown): CallError {
  if (typeof reason === 'object' && reason !== null && 'message' in reason) {
    const { message, field } = reason as { message: unknown; field?: unknown };
    return { message: String(message), field: typeof field === 'string' ? field : undefined };
  }
  return { message: String(reason) };
}
