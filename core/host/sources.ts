/** What a VM is started from: files, read on the thread that loads them, and the mistakes that are found in them. */
import { readFileSync } from 'node:fs';
import { FirmwareError } from '../firmware/error.ts';
import type { BootRequest } from '../firmware/target.ts';
import { StorageError } from '../storage/raw.ts';
import { UserError, type Source } from './api.ts';
import { asset } from './assets.ts';
import { causeOf } from './cause.ts';

/** The user's mistakes, whichever room finds them. */
export function asUserError(error: unknown, field: string): unknown {
  if (!(error instanceof FirmwareError || error instanceof StorageError)) return error;
  const { message } = error;
  return new UserError(`${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`, field);
}

/** At once: this thread has nothing else to do. */
function read(path: string, what: string, field: string): { name: string; data: Uint8Array } {
  try {
    return { name: path, data: readFileSync(path) };
  } catch (error) {
    throw new UserError(`The ${what} ${path} cannot be read: ${causeOf(error)}.`, field);
  }
}

/** The kernel, and what it is given. Throws UserErrors. */
export function readSystem(source: Exclude<Source, { readonly kind: 'disk' }>): BootRequest {
  const kernel =
    source.kind === 'builtin' ? read(asset('corner.elf'), 'built-in guest', 'source') : read(source.kernel, 'kernel', 'source.kernel');
  const initrd =
    source.kind === 'kernel' && source.initrd !== undefined ? read(source.initrd, 'initial RAM disk', 'source.initrd') : undefined;
  const modules = source.kind === 'kernel' ? (source.modules ?? []).map((path) => read(path, 'module', 'source.modules')) : [];
  return { kernel, initrd, modules, commandLine: source.append ?? '' };
}

/** The form's field that a mistake in it belongs to. */
export const sourceField = (source: Source): string => (source.kind === 'kernel' ? 'source.kernel' : 'source');
