/** Where branches that are not direct go: remembered for the translator (core/state/code.ts has the structures). */
import {
  BRANCHTARGET_SIZE,
  BRANCHTARGET_distance,
  BRANCHTARGET_next,
  CHAIN_JUMP,
  CHAIN_RETURN,
  CONTROL_branchTargetsEnd,
  CONTROL_branchTargetsNext,
  CONTROL_translateAfter,
  JUMP_TARGETS,
  RECORD_target,
  RETURN_TARGETS,
} from './layout';
import { lockCode, unlockCode } from './codelock';
import { firstRecord } from './codepages';

const KIND: u32 = CHAIN_RETURN | CHAIN_JUMP;

/** `chain`: as in the vCPU, of a branch that is not direct. It went to where `distance` is from the beginning of its page. */
export function noteTarget(chain: u32, distance: u64): void {
  const record = <usize>(chain & ~KIND);
  // What is decoded by itself does not stay; and without a translator nobody asks.
  if (load<u32>(0, CONTROL_translateAfter) == 0 || record < <usize>firstRecord()) return;
  let free = chain & CHAIN_JUMP ? JUMP_TARGETS : RETURN_TARGETS;
  for (let at = <usize>load<u32>(record, RECORD_target); at != 0; at = <usize>load<u32>(at, BRANCHTARGET_next)) {
    if (load<u64>(at, BRANCHTARGET_distance) == distance) return;
    free--;
  }
  if (free == 0) return;
  lockCode();
  const at = load<u32>(0, CONTROL_branchTargetsNext);
  if (at != load<u32>(0, CONTROL_branchTargetsEnd)) {
    store<u32>(0, at + BRANCHTARGET_SIZE, CONTROL_branchTargetsNext);
    store<u64>(at, distance, BRANCHTARGET_distance);
    store<u32>(at, load<u32>(record, RECORD_target), BRANCHTARGET_next);
    atomic.store<u32>(record + RECORD_target, at);
  }
  unlockCode();
}
