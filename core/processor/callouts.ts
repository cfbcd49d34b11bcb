/**
 * Which instructions the VMM of full virtualization has to do with (core/vmm/full): they have a second handler, the call-out, which does the
 * instruction on the vCPU as the guest believes it to be.
 */
import type { Row } from '../spec/row.ts';
import {
  GROUP_CONTROL, GROUP_FLAGS, GROUP_HALT, GROUP_MSR, GROUP_PORT, GROUP_SEGMENT, GROUP_SYSTEM_CALL, GROUP_TABLE, GROUP_TIME, GROUP_TLB,
  GROUP_TRANSFER, VMM_CALLOUT, VMM_TRAP,
} from '../state/index.ts'; // prettier-ignore

/** Traps at ring 1: emulated, and perhaps a call-out from then on. */
export const CALLOUT_PRIVILEGED = 1;
/** Does not trap: a call-out from the beginning, if the guest is translated at all. */
export const CALLOUT_SENSITIVE = 2;
/** Enters ring 0, which is the VMM's, whatever the switches are. */
export const CALLOUT_ENTRY = 3;

const GROUPS_OF: readonly (readonly [number, RegExp])[] = [
  [GROUP_FLAGS, /^(cli|sti|pushf|popf)$/],
  [GROUP_SEGMENT, /^(mov_rm_sreg|mov_sreg_rm|push_[cs]s|pop_[d-gs]s|l[d-gs]s|lar|lsl|verr|verw)$/],
  [GROUP_TABLE, /^([sl][gi]dt|sldt|lldt|str|ltr)$/],
  [GROUP_TRANSFER, /^((jmp|call|ret)_far\w*|iret|int_n|int1|int3|into)$/],
  [GROUP_SYSTEM_CALL, /^sys(call|ret|enter|exit)$/],
  [GROUP_CONTROL, /^(mov_(to|from)_[cd]r|clts|[ls]msw|xsetbv|clac|stac)$/],
  [GROUP_MSR, /^(rdmsr|wrmsr|swapgs)$/],
  [GROUP_TLB, /^(invlpg|invpcid|wbinvd)$/],
  [GROUP_PORT, /^((in|out)_\w+|(ins|outs)b?)$/],
  [GROUP_HALT, /^hlt$/],
  [GROUP_TIME, /^(rdtscp?|rdpmc)$/],
];

/** Sensitive in name only: selectors of data segments are what the guest loaded, in both views. (CS and SS have another RPL.) */
const SAME = /^push_[defg]s$/;

export interface Callout {
  readonly kind: typeof CALLOUT_PRIVILEGED | typeof CALLOUT_SENSITIVE | typeof CALLOUT_ENTRY;
  /** GROUP_*. */
  readonly group: number;
  /** VMM_*: what a call-out of it is counted as. */
  readonly reason: number;
}

/** undefined: innocuous. Time stamps count as privileged: they trap where CR4 says so, and only then. */
export function calloutOf(row: Row): Callout | undefined {
  const { helper } = row;
  if (helper === undefined || SAME.test(helper)) return undefined;
  const found = GROUPS_OF.find(([, names]) => names.test(helper));
  if (found === undefined) {
    if (row.class !== 'innocuous') throw new Error(`row "${row.text}": in no group of exits`);
    return undefined;
  }
  const [group] = found;
  const entry = helper === 'syscall' || helper === 'sysenter';
  const kind = entry ? CALLOUT_ENTRY : row.class === 'sensitive' ? CALLOUT_SENSITIVE : CALLOUT_PRIVILEGED;
  return { kind, group, reason: (entry ? VMM_TRAP : VMM_CALLOUT) + group };
}
