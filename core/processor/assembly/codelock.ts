/**
 * The lock of decoded and translated code: held while links between records, pages and translations change. Whoever compiles in another
 * thread takes it too (core/translator/codelock.ts). Not held over anything that can fault or call the host.
 */
import { CONTROL_codeLock } from './layout';

const FREE: u32 = 0;
const HELD: u32 = 1;
/** Held, and someone sleeps for it. */
const AWAITED: u32 = 2;
/** Attempts before sleeping: what is done under the lock is short. */
const SPINS = 200;

export function lockCode(): void {
  for (let i = 0; i < SPINS; i++) if (atomic.cmpxchg<u32>(CONTROL_codeLock, FREE, HELD) == FREE) return;
  while (atomic.xchg<u32>(CONTROL_codeLock, AWAITED) != FREE) atomic.wait<i32>(CONTROL_codeLock, AWAITED, -1);
}

export function unlockCode(): void {
  if (atomic.xchg<u32>(CONTROL_codeLock, FREE) == AWAITED) atomic.notify(CONTROL_codeLock, 1);
}
