/** The end of translations whose code changed (core/state/translation.ts has the structures). All under the code lock. */
import {
  BLOCKHEADER_SIZE,
  BLOCKHEADER_entries,
  CACHEDMODULE_length,
  CACHEDMODULE_live,
  CODEPAGE_churn,
  CODEPAGE_dependents,
  CODEPAGE_generation,
  CONTROL_firstSlot,
  CONTROL_slots,
  CONTROL_translateAfter,
  CONTROL_translations,
  DEPENDENT_SIZE,
  DEPENDENT_chunks,
  DEPENDENT_next,
  HANDLER_COUNT,
  RECORD_handler,
  REGION_PAGES,
  SLOT_SIZE,
  SLOT_dependents,
  SLOT_module,
  SLOT_next,
  SLOT_record,
  SLOT_serial,
  TRANSLATIONS,
  TRANSLATIONS_clock,
  TRANSLATIONS_ended,
  TRANSLATIONS_invalidated,
  TRANSLATIONS_liveBytes,
  TRANSLATIONS_liveModules,
  TRANSLATIONS_liveRegions,
  TRANSLATIONS_serial,
} from './layout';

/** Two translations that did not last double what is asked of the next; up to this many. */
const CHURN_MAX: u32 = 20;
/** A translation lasted if so many modules came after it. */
const OLD: u32 = 64;

// @ts-ignore: decorator
@inline
function slotAt(slot: u32): usize {
  return <usize>load<u32>(0, CONTROL_slots) + <usize>slot * SLOT_SIZE;
}

// @ts-ignore: decorator
@inline
function translations(): usize {
  return <usize>load<u32>(0, CONTROL_translations);
}

/** Code in the page whose CodePage is at `page` changed. */
export function ageCode(page: usize): void {
  const at = translations();
  if (at == 0) return;
  const clock = load<u32>(at, TRANSLATIONS_clock) + 1;
  store<u32>(at, clock, TRANSLATIONS_clock);
  store<u32>(page, clock, CODEPAGE_generation);
}

/** Translations of code in `chunks` of the page whose CodePage is at `page` are not entered any more. */
export function endTranslations(page: usize, chunks: u64): void {
  let number = load<u32>(page, CODEPAGE_dependents);
  while (number != 0) {
    const slot = (number - 1) / REGION_PAGES;
    const at = slotAt(slot);
    const dependent = at + SLOT_dependents + <usize>((number - 1) % REGION_PAGES) * DEPENDENT_SIZE;
    if (load<u32>(at, SLOT_serial) != 0 && (load<u64>(dependent, DEPENDENT_chunks) & chunks) != 0) {
      reckon(page, at);
      const record = <usize>load<u32>(at, SLOT_record);
      if (load<u32>(record, RECORD_handler) == load<u32>(0, CONTROL_firstSlot) + slot) {
        store<u32>(record - BLOCKHEADER_SIZE, patience(load<u32>(page, CODEPAGE_churn)), BLOCKHEADER_entries);
        atomic.store<u32>(record + RECORD_handler, HANDLER_COUNT);
      }
      end(slot, at);
      atomic.add<u32>(translations() + TRANSLATIONS_invalidated, 1);
    }
    number = load<u32>(dependent, DEPENDENT_next);
  }
}

/** What the compiler does with slots that have ended is its business (core/translator/cache.ts). */
function end(slot: u32, at: usize): void {
  store<u32>(at, 0, SLOT_serial);
  const all = translations();
  const module = <usize>load<u32>(at, SLOT_module);
  const live = load<u32>(module, CACHEDMODULE_live) - 1;
  store<u32>(module, live, CACHEDMODULE_live);
  atomic.sub<u32>(all + TRANSLATIONS_liveRegions, 1);
  if (live == 0) {
    atomic.sub<u32>(all + TRANSLATIONS_liveModules, 1);
    atomic.sub<u32>(all + TRANSLATIONS_liveBytes, load<u32>(module, CACHEDMODULE_length));
  }
  store<u32>(at, load<u32>(all, TRANSLATIONS_ended), SLOT_next);
  store<u32>(all, slot + 1, TRANSLATIONS_ended);
}

/** A translation in this page ends: code that changes all the time is to be translated less and less often. */
function reckon(page: usize, slot: usize): void {
  const churn = load<u32>(page, CODEPAGE_churn);
  // What ends together was one change.
  if (!(churn & 1)) return;
  const age = load<u32>(translations(), TRANSLATIONS_serial) - load<u32>(slot, SLOT_serial);
  store<u32>(page, age < OLD ? min<u32>(churn + 1, CHURN_MAX << 1) : (churn >> 2) << 1, CODEPAGE_churn);
}

/** `BlockHeader.entries` to begin with, in a page of that churn. */
export function patience(churn: u32): u32 {
  const after = load<u32>(0, CONTROL_translateAfter);
  return after - min<u32>(after << (churn >> 2), 0x4000_0000);
}

/** All translations end, with all decoded code. */
export function endAllTranslations(): void {
  if (translations() == 0) return;
  for (let slot: u32 = 0; slot < TRANSLATIONS; slot++) {
    const at = slotAt(slot);
    if (load<u32>(at, SLOT_serial) != 0) end(slot, at);
  }
}
