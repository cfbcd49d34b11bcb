/** Paravirtualization as the app shows it: form, console, rings, hypercalls, kinds, disks that come and go. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guest, missing } from '../guests/ringside.ts';
import { CHROMIUM, complaints, consoleText, launchBrowser, openApp, startApp, stateOf } from './app.ts';
import type { App } from './app.ts';

const SOON = { timeout: 30_000, interval: 200 };
const BOOTED = { timeout: 120_000, interval: 500 };

describe.skipIf(CHROMIUM === undefined)('paravirtualization in the app', () => {
  let app: App;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    [app, browser] = await Promise.all([startApp(['--pcpus', '2']), launchBrowser()]);
    page = await openApp(browser, app, { viewport: { width: 1200, height: 900 } });
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });

  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click();
  const dialog = () => page.getByRole('dialog', { name: 'New virtual machine' });
  const step = (name: RegExp): Promise<void> => dialog().getByRole('button', { name }).click();
  const source = (name: string): Promise<void> => dialog().getByText(name, { exact: true }).click();
  const field = (name: string) => dialog().getByRole('textbox', { name });
  const para = () => dialog().getByRole('radio', { name: /^Paravirtualization/ });
  const kind = (name: string) => page.locator(`[data-kind="${name}"]`);
  const region = (name: string) => page.getByRole('region', { name, exact: true });
  /** Percent of now. */
  const share = async (row: string): Promise<number> =>
    Number.parseFloat(await region('Who is in which ring').getByRole('row', { name: row }).getByRole('cell').nth(1).innerText());
  const call = (name: string) => region('Hypercalls').getByRole('row', { name: new RegExp(`^${name} `) });
  async function type(line: string): Promise<void> {
    await tab('Console');
    await page.locator('.xterm').click();
    await page.keyboard.type(`${line}\r`);
  }

  it('the form offers it by source, says why, and has its switches', async () => {
    await page.keyboard.press('Alt+n');
    await source('Disk');
    await step(/CPU and memory/);
    await dialog().getByText('Advanced').click();
    expect(await para().isDisabled()).toBe(true);
    await dialog()
      .getByText(/Not for a VM that starts from a disk/)
      .waitFor();
    await step(/^\d? ?System/);
    await source('Kernel');
    expect(await field('Command line').inputValue()).toBe('console=ttyS0');
    await step(/CPU and memory/);
    await dialog().getByText('Advanced').click();
    await dialog()
      .getByText(/The kernel must have the interface/)
      .waitFor();
    expect(await dialog().getByRole('checkbox', { name: 'Batching' }).count()).toBe(0);
    await para().check();
    for (const name of ['Batching', 'Asynchrony']) expect(await dialog().getByRole('checkbox', { name }).isChecked()).toBe(true);
    await step(/^\d? ?System/);
    expect(await field('Command line').inputValue()).toBe('console=hvc0');
    await source('Built-in guest');
  });

  it('starts the built-in guest, whose console is serial port 1', async () => {
    await step(/CPU and memory/);
    await dialog().getByText('Advanced').click();
    expect(await para().isChecked()).toBe(true);
    await dialog().getByText('Asynchrony', { exact: true }).click();
    await step(/Name and summary/);
    await dialog().getByLabel('Name', { exact: true }).fill('Corner');
    await dialog().getByRole('button', { name: 'Create and start' }).click();
    await expect.poll(() => consoleText(page), SOON).toMatch(/corner> ?$/);
  });

  it('shows that kernel and applications share ring 3, and how much of the time each has', async () => {
    await type('spin 6');
    await tab('CPU');
    await expect.poll(() => share('Ring 3 The guest’s applications'), SOON).toBeGreaterThan(60);
    await type('kspin 6');
    await tab('CPU');
    await expect.poll(() => share('Ring 3 The guest’s kernel'), SOON).toBeGreaterThan(60);
    expect(await page.locator('[data-ring="3"]').count()).toBe(2);
    expect(await page.locator('[data-ring="0"]').count()).toBe(1);
    await region('Who is in which ring').getByRole('row', { name: 'Ring 0 The VMM: hypercalls' }).waitFor();
  });

  it('shows hypercalls by name, what each costs, and what the VMM hands on', async () => {
    await type('threads 4');
    await tab('CPU');
    await expect.poll(() => call('iret').count(), SOON).toBe(1);
    await expect.poll(() => call('sched_op').innerText(), SOON).toMatch(/[\d.]+ (ns|µs|ms)/);
    const hypercalls = region('Hypercalls');
    await hypercalls.getByText('System calls handed on').waitFor();
    await region('Exits by reason')
      .getByRole('row', { name: /^hypercall / })
      .waitFor();
    await hypercalls.getByText('Hypercalls per exit').waitFor();
  });

  it('the nine kinds: paravirtualization serves CPU, memory and I/O', async () => {
    await tab('Kinds');
    for (const name of ['cpu-para', 'memory-para', 'io-para']) expect(await kind(name).innerText()).toContain('Serves this VM');
    expect(await kind('io-para').innerText()).toMatch(/hvc0[^]*Asynchrony is off/);
    for (const name of ['cpu-full', 'memory-full', 'io-full']) expect(await kind(name).innerText()).toContain('it could be');
    await tab('Overview');
    await page.getByText('Asynchrony: off', { exact: true }).waitFor();
  });

  it('powers off when the button is pressed', async () => {
    await page.getByRole('button', { name: 'Shut down', exact: true }).click();
    await expect.poll(() => stateOf(page, 'Corner'), SOON).toBe('off');
  });

  describe.skipIf(missing('kernel64', 'initrd64.gz'))('with Linux', () => {
    it('warns of a serial port that is not there, and shows Linux on hvc0', async () => {
      await page.keyboard.press('Alt+n');
      await source('Kernel');
      await field('Kernel file').fill(guest('kernel64'));
      await field('Initial RAM disk').fill(guest('initrd64.gz'));
      await field('Command line').fill('console=ttyS0 quiet panic=-1 checks=0 hold=1');
      await step(/CPU and memory/);
      await dialog().getByText('Advanced').click();
      await para().check();
      await dialog().getByText('a paravirtualized guest has no such port').waitFor();
      await step(/^\d? ?System/);
      await field('Command line').fill('console=hvc0 quiet panic=-1 checks=0 hold=1');
      await step(/Name and summary/);
      await dialog().getByLabel('Name', { exact: true }).fill('Linux');
      await dialog().getByRole('button', { name: 'Create and start' }).click();
      await expect.poll(() => consoleText(page), BOOTED).toMatch(/GUEST-DONE[^]*# ?$/);
    });

    it('its kernel asks in batches', async () => {
      await type('i=0; while [ $i -lt 300 ]; do /bin/busybox true; i=$((i+1)); done; echo FORKED $((i*2))');
      await expect.poll(() => consoleText(page), BOOTED).toContain('FORKED 600');
      await tab('CPU');
      await call('multicall').waitFor();
      expect(await call('update_va_mapping').getByRole('cell').nth(3).innerText()).toMatch(/[1-9]/);
      expect(await region('Entries per multicall').getByRole('row').count()).toBeGreaterThan(1);
      expect(await region('Entries per MMU hypercall').getByRole('row').count()).toBeGreaterThan(1);
      for (const name of ['mmu_update', 'mmuext_op', 'iret']) expect(await call(name).count(), name).toBe(1);
    });

    it('powers off', async () => {
      await type('/bin/busybox poweroff -f');
      await expect.poll(() => stateOf(page, 'Linux'), SOON).toBe('off');
    });
  });

  it.skipIf(missing('kernel64', 'initrd64disk.gz'))('a guest that runs is given a disk, reads it, and gives it back', async () => {
    const [first, second] = ['first.raw', 'second.raw'].map((name) => path.join(app.state, name)) as [string, string];
    for (const file of [first, second]) writeFileSync(file, Buffer.alloc(1 << 20, file));
    await page.getByRole('button', { name: 'New', exact: true }).click();
    await source('Kernel');
    await field('Kernel file').fill(guest('kernel64'));
    await field('Initial RAM disk').fill(guest('initrd64disk.gz'));
    await field('Command line').fill('console=hvc0 quiet panic=-1 files=0 plug=1');
    await step(/CPU and memory/);
    await dialog().getByText('Advanced').click();
    await para().check();
    await step(/Disks/);
    await dialog().getByRole('button', { name: 'Add a disk' }).click();
    await field('Disk 1').fill(first);
    await step(/Name and summary/);
    await dialog().getByLabel('Name', { exact: true }).fill('Disks');
    await dialog().getByRole('button', { name: 'Create and start' }).click();
    await expect.poll(() => consoleText(page), BOOTED).toContain('PLUG-READY');

    await tab('Overview');
    const disks = page.getByRole('tabpanel');
    await page.getByRole('button', { name: 'Attach a disk…' }).click();
    await page.getByLabel('Image file').fill('/nowhere/data.raw');
    await page.getByRole('button', { name: 'Attach', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: '/nowhere/data.raw does not exist' }).waitFor();
    await page.getByLabel('Image file').fill(second);
    await page.getByRole('button', { name: 'Attach', exact: true }).click();
    await disks.getByText('the guest sees it as xvdb').waitFor();
    await tab('Console');
    await expect.poll(() => consoleText(page), SOON).toContain(`PLUG-SUM ${createHash('md5').update(readFileSync(second)).digest('hex')}`);
    await tab('Overview');
    await page.getByRole('button', { name: `Detach ${second}` }).click();
    await disks.getByText(`Detached: ${second}`).waitFor();
    await tab('Console');
    await expect.poll(() => consoleText(page), SOON).toContain('PLUG-GONE');
    await expect.poll(() => stateOf(page, 'Disks'), SOON).toBe('off');
  });

  it('met no mistake in the page', () => {
    expect(complaints.get(page)).toEqual([]);
  });
});
