/** Compressed data cannot be decoded: the message says how it is wrong ("it is damaged"). */
export class DecodeError extends Error {}
