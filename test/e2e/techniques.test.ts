/** Full virtualization as the app shows it: host card, form, rings, exits, the nine kinds. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM, complaints, consoleText, launchBrowser, openApp, startApp } from './app.ts';
import type { App } from './app.ts';

const SOON = { timeout: 30_000, interval: 200 };

describe.skipIf(CHROMIUM === undefined)('techniques in the app', () => {
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

  const kind = (name: string) => page.locator(`[data-kind="${name}"]`);
  const tab = (name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click();
  const ring = (n: number) =>
    page.getByRole('region', { name: 'Who is in which ring' }).getByRole('row', { name: new RegExp(`^Ring ${n} `) });
  const share = async (n: number): Promise<number> => Number.parseFloat(await ring(n).getByRole('cell').nth(1).innerText());

  it('the host card tells what this computer has, what follows, and how it was told', async () => {
    const card = page.getByRole('region', { name: 'This computer' });
    await card.getByText('Ringside’s own processor runs every system here').waitFor();
    expect(await card.innerText()).toMatch(/Virtualization hardware\s+\S[^]*In the BIOS\s+\S[^]*\/dev\/kvm\s+\S[^]*Nested\s+\S/i);
    expect(await card.innerText()).toMatch(/\d sockets? · \d+ cores? · \d+ threads? · \d NUMA node/);
    await card.getByText('How this was told').click();
    await card.getByText('/proc/cpuinfo').waitFor();
  });

  it('the form has each technique with its availability and the reason, and the switches of full virtualization', async () => {
    await page.keyboard.press('Alt+n');
    const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
    await dialog.getByRole('button', { name: /CPU and memory/ }).click();
    await dialog.getByText('Advanced').click();
    const full = dialog.getByRole('radio', { name: /Full virtualization.*Available/ });
    expect(await dialog.getByRole('radio', { name: /Paravirtualization.*Available/ }).isDisabled()).toBe(false);
    expect(await dialog.getByRole('radio', { name: /Hardware-assisted.*Not in this version.*This computer/ }).isDisabled()).toBe(true);
    expect(await dialog.getByText('Adaptive translation').count()).toBe(0);
    await full.check();
    const adaptive = dialog.getByRole('checkbox', { name: 'Adaptive translation' });
    expect(await adaptive.isChecked()).toBe(true);
    expect(await dialog.getByRole('checkbox', { name: 'Translate sensitive instructions' }).isChecked()).toBe(true);
    await dialog.getByText('Adaptive translation').click();
    await dialog.getByRole('button', { name: /Name and summary/ }).click();
    await dialog.getByLabel('Name', { exact: true }).fill('Compressed');
    await dialog.getByRole('button', { name: 'Create and start' }).click();
    await expect.poll(() => consoleText(page), SOON).toMatch(/corner> ?$/);
  });

  it('shows who is in which ring and for how much of the time, as the guest works', async () => {
    await page.locator('.xterm').click();
    await page.keyboard.type('spin 6\r');
    await tab('CPU');
    await expect.poll(() => ring(0).innerText(), SOON).toContain('The VMM');
    expect(await ring(1).innerText()).toContain('The guest’s kernel (sees itself in ring 0)');
    expect(await ring(2).innerText()).toContain('Nobody');
    await expect.poll(() => share(3), SOON).toBeGreaterThan(60);
    await tab('Console');
    await page.locator('.xterm').click();
    await page.keyboard.type('kspin 6\r');
    await tab('CPU');
    await expect.poll(() => share(1), SOON).toBeGreaterThan(60);
    expect(await page.locator('[data-ring]').count()).toBe(4);
  });

  it('shows exits of full virtualization with their mean cost', async () => {
    const exits = page.getByRole('region', { name: 'Exits by reason' });
    await exits.getByRole('columnheader', { name: 'Mean cost' }).waitFor();
    // Adaptive translation is off: privileged instructions trap, and nothing that could trap is called out.
    const traps = exits.getByRole('row').filter({ hasText: /^trap-/ });
    await expect.poll(() => traps.count(), SOON).toBeGreaterThan(0);
    await expect.poll(() => traps.allInnerTexts(), SOON).toContainEqual(expect.stringMatching(/[\d.]+ (ns|µs|ms)/));
    // TLB fills are counted, not timed.
    await expect.poll(() => exits.getByRole('row', { name: 'shadow-fill' }).innerText(), SOON).toMatch(/–/);
  });

  it('the nine kinds: what serves this VM, what could, what is not there', async () => {
    await tab('Kinds');
    expect(await page.locator('[data-kind]').count()).toBe(9);
    expect(await kind('cpu-full').innerText()).toMatch(/Serves this VM[^]*ring compression[^]*Adaptive translation is off/);
    expect(await kind('memory-full').innerText()).toMatch(/Serves this VM[^]*the TLB is the shadow/);
    expect(await kind('io-full').innerText()).toMatch(/Serves this VM[^]*1 × serial port/);
    expect(await kind('io-para').innerText()).toMatch(/it could be[^]*no drivers/);
    for (const name of ['cpu-para', 'memory-para']) expect(await kind(name).innerText()).toMatch(/it could be[^]*Choose the technique/);
    for (const name of ['cpu-hardware', 'memory-hardware', 'io-hardware'])
      expect(await kind(name).innerText()).toMatch(/Not in this version[^]*would need/);
  });

  it('the overview says which switch is off', async () => {
    await tab('Overview');
    await page.getByText('Adaptive translation: off', { exact: true }).waitFor();
  });

  it('goes by the run, not by what the settings say meanwhile', async () => {
    await tab('Settings');
    expect(await page.getByRole('checkbox', { name: 'Adaptive translation' }).isChecked()).toBe(false);
    await page.getByRole('radio', { name: /^Automatic/ }).check();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('status').filter({ hasText: 'Saved.' }).waitFor();
    await tab('Kinds');
    expect(await kind('cpu-full').innerText()).toContain('Serves this VM');
    await page.getByRole('button', { name: 'Shut down', exact: true }).click();
    await expect.poll(() => kind('cpu-full').innerText(), SOON).toMatch(/it could be[^]*nothing traps/);
  });

  it('in Chinese too', async () => {
    await page.getByRole('button', { name: 'Preferences' }).click();
    await page.getByRole('dialog').getByText('简体中文', { exact: true }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: '九种虚拟化' }).waitFor();
    expect(await kind('cpu-hardware').innerText()).toContain('此版本尚不提供');
    expect(complaints.get(page)).toEqual([]);
  });
});
