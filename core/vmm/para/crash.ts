/** Why the VMM ended a domain, in a sentence. */
import {
  Control, PARA_CRASH_HANDLER, PARA_CRASH_HYPERCALL, PARA_CRASH_IRET, PARA_CRASH_STACK, Para,
} from '../../state/index.ts'; // prettier-ignore

const SENTENCES: Readonly<Record<number, string>> = {
  [PARA_CRASH_HANDLER]: 'an exception, event or system call came up for which it has no handler',
  [PARA_CRASH_STACK]: 'its kernel’s stack cannot be written',
  [PARA_CRASH_IRET]: 'it returned from an exception by a frame or to an address space that is not there',
  [PARA_CRASH_HYPERCALL]: 'a hypercall cannot be gone on with',
};

/** Of the domain in this machine's memory: what `Para.crash` says, and where it was. */
export function crashSentence(buffer: ArrayBufferLike): string {
  const at = Control.view(buffer, 0).para;
  const { crash } = Para.view(buffer, at);
  const rip = new DataView(buffer).getBigUint64(at + Para.offsets.crashRip, true);
  return `The VMM ended the guest: ${SENTENCES[crash] ?? `reason ${crash}`} (at 0x${rip.toString(16)}).`;
}
