import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM, complaints, launchBrowser, openApp, startApp } from './app.ts';
import type { App } from './app.ts';

const SOON = { timeout: 30_000, interval: 200 };
const MEASURED = { timeout: 240_000, interval: 500 };

describe.skipIf(CHROMIUM === undefined)('the technique lab in a browser', () => {
  let app: App;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    [app, browser] = await Promise.all([startApp(['--pcpus', '1']), launchBrowser()]);
    page = await openApp(browser, app);
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });

  const lab = () => page.getByRole('region', { name: 'Technique lab' });
  const cells = (name: string) => lab().getByRole('row').filter({ has: page.getByRole('button', { name }) }).getByRole('cell'); // prettier-ignore

  it('is reached from the toolbar, says what it does, and has measured nothing yet', async () => {
    await page.getByRole('button', { name: 'Technique lab' }).click();
    await lab().getByText('Nothing has been measured yet.').waitFor();
    expect(await lab().getByRole('table').count()).toBe(0);
  });

  it('can be stopped, and goes on where the page is loaded anew', async () => {
    await lab().getByRole('button', { name: 'Run' }).click();
    await expect.poll(() => lab().getByRole('status').innerText(), SOON).toMatch(/^[1-9]\d* of 66 measured$/);
    await page.reload();
    await expect.poll(() => lab().getByRole('status').innerText(), SOON).toMatch(/^[1-9]\d* of 66 measured$/);
    await lab().getByRole('button', { name: 'Stop' }).click();
    await lab().getByRole('button', { name: 'Run' }).waitFor();
    // What was measured stays.
    expect(await cells('syscall').first().innerText()).toMatch(/\d/);
  });

  it('fills in its table, with exits that are those of the operations', async () => {
    await lab().getByRole('button', { name: 'Run' }).click();
    await lab().getByRole('button', { name: 'Stop' }).waitFor();
    await expect.poll(() => lab().getByRole('button', { name: 'Run' }).count(), MEASURED).toBe(1);
    const [bare, alone, traps, full, single, batched] = await cells('in').allInnerTexts();
    expect(bare).toMatch(/\d[\d,.]*\s+1 exit$/);
    expect(alone).toBe('–');
    expect(traps).toMatch(/\d[\d,.]*\s+2(\.0\d)? exits$/);
    expect(full).toMatch(/\d[\d,.]*\s+2(\.0\d)? exits$/);
    expect([single, batched]).toEqual(['not an operation of a para guest', 'not an operation of a para guest']);
    expect((await cells('callret').allInnerTexts()).slice(6)).toEqual(['11', '51', '11']);
    const exits = (text: string): number => Number(/([\d.,]+) exits?$/.exec(text)![1]!.replace(',', ''));
    const [one, many] = (await cells('ptemods').allInnerTexts()).slice(4, 6).map(exits);
    expect(one).toBeGreaterThan(20 * many!);
    const [, , , pc, , deep] = await cells('blkreads').allInnerTexts();
    expect(pc).toBe('an operation of para guests only');
    expect(exits(deep!)).toBeLessThan(exits((await cells('blkread').allInnerTexts())[5]!));
    await lab()
      .getByText(/by single calls takes [\d.]+ times the cycles .* 128(\.\d)? exits an operation, not 4(\.\d)?\./)
      .waitFor();
    await lab().getByText('the guest ended in a triple fault before it came to its prompt').waitFor();
  });

  it('unfolds an operation’s exits by reason', async () => {
    await lab().getByRole('button', { name: 'in' }).first().click();
    const details = lab().getByRole('row').filter({ hasText: 'Exits per operation' });
    await expect.poll(() => details.innerText(), SOON).toMatch(/1(\.0\d)? trap-port/);
    expect(await details.innerText()).toMatch(/1(\.0\d)? callout-port/);
    expect(await cells('in').nth(2).getAttribute('title')).toContain('trap-port');
    expect(await cells('ptemods').nth(5).getAttribute('title')).toMatch(/^4(\.\d+)? multicall\n(.*\n)*in multicalls: .*mmu_update/);
  });

  it('shows nanoseconds too, and speaks Chinese', async () => {
    await lab().getByText('ns', { exact: true }).click();
    await lab().getByText('Nanoseconds per operation').waitFor();
    await page.getByRole('button', { name: 'Preferences' }).click();
    await page.getByRole('dialog').getByText('简体中文', { exact: true }).click();
    const chinese = page.getByRole('dialog', { name: '首选项' });
    await chinese.waitFor();
    await page.keyboard.press('Escape');
    await chinese.waitFor({ state: 'hidden' });
    await page.getByRole('region', { name: '技术实验室' }).getByText('每次操作的纳秒').waitFor();
    await page.getByRole('button', { name: '关闭实验室' }).click();
    await expect.poll(() => page.getByRole('region', { name: '技术实验室' }).count(), SOON).toBe(0);
  });

  it('met no mistake in the page', () => {
    expect(complaints.get(page)).toEqual([]);
  });
});
