/** The new-VM form. It lives here, not in its dialog, so that closing the dialog loses nothing of what was typed. */
import { defineStore } from 'pinia';
import { ref } from 'vue';
import type { CallError, VmSummary } from '../../electron/ipc.ts';
import { toCallError } from '../api.ts';
import { emptyForm, freeName, stepOf, STEPS, toVmDraft } from '../forms/draft.ts';
import type { DraftForm, Step } from '../forms/draft.ts';
import { i18n } from '../locales/index.ts';
import { useVmsStore } from './vms.ts';

export const useNewVmStore = defineStore('newVm', () => {
  const vms = useVmsStore();
  const open = ref(false);
  const form = ref<DraftForm>(emptyForm(''));
  const step = ref<Step>('source');
  const startNow = ref(true);
  const error = ref<CallError>();
  const creating = ref(false);
  /** The form holds what was typed before the dialog was closed. */
  const kept = ref(false);
  /** True until the user names the VM: the proposal then follows the source. */
  const nameProposed = ref(true);

  function proposeName(): void {
    if (!nameProposed.value) return;
    const base = i18n.global.t(
      form.value.kind === 'builtin' ? 'welcome.builtinName' : form.value.kind === 'kernel' ? 'kind.kernel' : 'kind.disk',
    );
    const file = form.value.kind === 'kernel' ? form.value.kernel : form.value.kind === 'disk' ? (form.value.disks[0]?.path ?? '') : '';
    const fromFile = file.trim().split(/[/\\]/).at(-1)?.slice(0, 60);
    form.value.name = freeName(
      fromFile || base,
      vms.list.map((vm) => vm.definition.name),
    );
  }

  function reset(): void {
    form.value = emptyForm('');
    step.value = 'source';
    startNow.value = true;
    error.value = undefined;
    kept.value = false;
    nameProposed.value = true;
    proposeName();
  }

  function show(): void {
    if (!kept.value) reset();
    open.value = true;
  }

  /** What has been typed stays for the next time. */
  function hide(): void {
    open.value = false;
    kept.value = JSON.stringify({ ...form.value, name: '' }) !== JSON.stringify(emptyForm('')) || !nameProposed.value;
  }

  function move(by: 1 | -1): void {
    step.value = STEPS[Math.min(STEPS.length - 1, Math.max(0, STEPS.indexOf(step.value) + by))]!;
    if (step.value === 'summary') proposeName();
  }

  /** The VM that was made; undefined: the core found a mistake, which is shown at its field. */
  async function create(): Promise<VmSummary | undefined> {
    if (creating.value) return undefined;
    creating.value = true;
    error.value = undefined;
    try {
      const made = await vms.create(toVmDraft(form.value), startNow.value);
      open.value = false;
      reset();
      return made;
    } catch (reason) {
      error.value = toCallError(reason);
      step.value = stepOf(error.value.field);
      return undefined;
    } finally {
      creating.value = false;
    }
  }

  return { open, form, step, startNow, error, creating, kept, nameProposed, show, hide, reset, move, create, proposeName };
});
