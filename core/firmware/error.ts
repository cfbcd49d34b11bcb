/** Something that a user gave cannot be booted: one sentence that says what, where and why. */
export class FirmwareError extends Error {}
