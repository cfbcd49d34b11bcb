/** Why the VMM ended a domain, in a sentence. */
import {
  PARA_CRASH_HANDLER, PARA_CRASH_HYPERCALL, PARA_CRASH_IRET, PARA_CRASH_STACK, type Para,
} from '../../state/index.ts'; // prettier-ignore

const SENTENCES: Readonly<Record<number, string>> = {
  [PARA_CRASH_HANDLER]: 'an exception, event or system call came up for which it has no handler',
  [PARA_CRASH_STACK]: 'its kernel’s stack cannot be written',
  [PARA_CRASH_IRET]: 'it returned from an exception by a frame or to an address space that is not there',
  [PARA_CRASH_HYPERCALL]: 'a hypercall cannot be gone on with',
};

/** `para`: `Para.crash` and where it was. */
export const crashSentence = ({ crash, crashRip }: Pick<ReturnType<typeof Para.view>, 'crash' | 'crashRip'>): string =>
  `The VMM ended the guest: ${SENTENCES[crash] ?? `reason ${crash}`} (at 0x${crashRip.toString(16)}).`;
