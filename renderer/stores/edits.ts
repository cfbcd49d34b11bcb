/** Settings that are being edited, by VM: what is not saved is kept while the user looks elsewhere. */
import { defineStore } from 'pinia';
import { reactive } from 'vue';
import type { CallError, VmDraft } from '../../electron/ipc.ts';
import { changedFields, fromDraft, toVmDraft } from '../forms/draft.ts';
import type { DraftForm } from '../forms/draft.ts';

export interface Edit {
  form: DraftForm;
  /** The definition that `form` began from. */
  base: VmDraft;
  search: string;
  error: CallError | undefined;
  saving: boolean;
  /** What the last save meant; undefined: none yet. */
  saved: 'now' | 'restart' | undefined;
}

/** Through the form and back: an absent key and an empty field are then the same. */
export const normalize = (draft: VmDraft): VmDraft => toVmDraft(fromDraft(draft));

export const useEditsStore = defineStore('edits', () => {
  const edits = reactive(new Map<string, Edit>());

  /** Begins, or takes over what has changed elsewhere (a new name) without touching what the user has changed here. */
  function follow(id: string, definition: VmDraft): Edit {
    const base = normalize(definition);
    const edit = edits.get(id);
    if (!edit) {
      edits.set(id, { form: fromDraft(base), base, search: '', error: undefined, saving: false, saved: undefined });
      return edits.get(id)!;
    }
    const mine = changedFields(edit.base, toVmDraft(edit.form));
    const merged = { ...base } as Record<keyof VmDraft, unknown>;
    const typed = toVmDraft(edit.form);
    for (const key of mine) merged[key] = typed[key];
    if (changedFields(edit.base, base).size > 0 && mine.size === 0) edit.form = fromDraft(base);
    else if (changedFields(edit.base, base).size > 0) edit.form = { ...fromDraft(merged as VmDraft), ...hidden(edit.form) };
    edit.base = base;
    return edit;
  }

  function revert(id: string): void {
    const edit = edits.get(id);
    if (!edit) return;
    edit.form = fromDraft(edit.base);
    edit.error = undefined;
  }

  return { follow, revert };
});

/** What the form holds of sources that are not chosen now. */
function hidden(form: DraftForm): Partial<DraftForm> {
  const { kernel, initrd, append, modules, builtinAppend } = form;
  return form.kind === 'kernel'
    ? { builtinAppend }
    : form.kind === 'builtin'
      ? { kernel, initrd, append, modules }
      : { kernel, initrd, append, modules, builtinAppend };
}
