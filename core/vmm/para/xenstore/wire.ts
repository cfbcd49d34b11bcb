/** The wire protocol of xenstore (io/xs_wire.h): numbers, names and sizes. Payloads are strings of bytes: a character is a byte. */

export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;

/** sizeof(struct xsd_sockmsg): type, req_id, tx_id, len. */
export const XS_HEADER = 16;
export const XENSTORE_RING_SIZE = 1024;
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

/** Offsets in struct xenstore_domain_interface. */
export const XS_REQ = 0;
export const XS_RSP = 1024;
export const XS_REQ_CONS = 2048;
export const XS_REQ_PROD = 2052;
export const XS_RSP_CONS = 2056;
export const XS_RSP_PROD = 2060;
export const XS_ERROR_FIELD = 2072;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;

/** The errors that have names in the protocol (xsd_errors). */
export type StoreErrorName =
  | 'EINVAL'
  | 'EACCES'
  | 'EEXIST'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'EBUSY'
  | 'EAGAIN'
  | 'EISCONN'
  | 'E2BIG'
  | 'EPERM';

/** What a request is answered with instead of a result. */
export class StoreError extends Error {
  readonly errno: StoreErrorName;
  constructor(errno: StoreErrorName) {
    super(errno);
    this.errno = errno;
  }
}

export interface Message {
  readonly type: number;
  readonly request: number;
  readonly transaction: number;
  readonly payload: string;
}

const word = (value: number): string => String.fromCharCode(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
const wordAt = (text: string, at: number): number =>
  (text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8) | (text.charCodeAt(at + 2) << 16) | (text.charCodeAt(at + 3) << 24)) >>> 0;

export const encode = ({ type, request, transaction, payload }: Message): string =>
  word(type) + word(request) + word(transaction) + word(payload.length) + payload;

/** Bytes of the message that begins `text`, its header included; NaN: not even the header is complete. */
export const sizeOf = (text: string): number => (text.length < XS_HEADER ? NaN : XS_HEADER + wordAt(text, 12));

export const decode = (text: string): Message => ({
  type: wordAt(text, 0),
  request: wordAt(text, 4),
  transaction: wordAt(text, 8),
  payload: text.slice(XS_HEADER, sizeOf(text)),
});
