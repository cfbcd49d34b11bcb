/** Errors of hypercalls: values of Xen's errno.h, returned negative. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const E2BIG = 7;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ENOSYS = 38;
export const ENODATA = 61;
export const ETIME = 62;
export const EOPNOTSUPP = 95;

/** A hypercall ends with an error: what a service throws. */
export class Refusal extends Error {
  /** Positive. */
  readonly errno: number;
  constructor(errno: number) {
    super(`a hypercall is refused with error ${errno}`);
    this.errno = errno;
  }
}

const known = new Map<number, Refusal>();

/** Ends the hypercall with `-errno`. */
export function refuse(errno: number): never {
  // Guests may ask for many: each is made once, for a stack is dear and nobody looks at it.
  let refusal = known.get(errno);
  if (!refusal) known.set(errno, (refusal = new Refusal(errno)));
  throw refusal;
}
