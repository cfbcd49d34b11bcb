import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tripleFault, writeGuest } from '../guests/multiboot.ts';
import { guest, missing } from '../guests/ringside.ts';
import { CHROMIUM, complaints, consoleText, launchBrowser, openApp, startApp, stateOf } from './app.ts';
import type { App } from './app.ts';

/** Milliseconds. A shared machine is slow at times; what is waited for comes long before. */
const SOON = { timeout: 30_000, interval: 200 };
const BOOT = { timeout: 240_000, interval: 1000 };

/** The number in a row of the load's legend, in percent. */
async function load(page: Page, state: string): Promise<number> {
  const cell = page
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name: state, exact: true }) })
    .getByRole('cell')
    .first();
  return Number.parseFloat(await cell.innerText());
}

/** How much of the newest part of the load graph is in the colour of guest user time: 0 to 1. */
function drawn(page: Page): Promise<number> {
  return page
    .locator('.chart canvas')
    .first()
    .evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const probe = document.createElement('canvas').getContext('2d')!;
      probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--load-user');
      probe.fillRect(0, 0, 1, 1);
      const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i] === red && data[i + 1] === green && data[i + 2] === blue) count++;
      return count / (data.length / 4);
    });
}

async function type(page: Page, line: string): Promise<void> {
  await page.locator('.xterm').click();
  await page.keyboard.type(`${line}\r`);
}

describe.skipIf(CHROMIUM === undefined)('the app in a browser', () => {
  let app: App;
  let browser: Browser;
  beforeAll(async () => {
    [app, browser] = await Promise.all([startApp(['--pcpus', '2']), launchBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });

  describe('first run', () => {
    let page: Page;
    beforeAll(async () => {
      page = await openApp(browser, app);
    });
    afterAll(() => page.context().close());

    it('says what this computer can do', async () => {
      await page.getByRole('heading', { name: 'Welcome to Ringside' }).waitFor();
      const card = page.getByRole('region', { name: 'This computer' });
      expect(await card.innerText()).toMatch(/Virtualization hardware\s+\S/);
      // It has a use for none of it yet, and says so wherever there is some.
      expect(await card.innerText()).toMatch(/does not (use it yet|need any)/);
    });

    it('says how to make a VM by keyboard in a browser, which keeps Ctrl+N for itself', async () => {
      await page.getByRole('button', { name: 'New', exact: true }).hover();
      await page.getByRole('tooltip', { name: 'Make a new VM (Alt+N)' }).waitFor();
      await page.getByRole('heading', { name: 'Welcome to Ringside' }).hover();
    });

    it('boots the built-in guest by one button, to a prompt that answers', async () => {
      await page.getByRole('button', { name: 'Boot the built-in guest' }).click();
      await expect.poll(() => consoleText(page), SOON).toMatch(/corner> $|corner>$/);
      // The console has the focus: nothing needs to be clicked.
      await page.keyboard.type('help\r');
      await expect.poll(() => consoleText(page), SOON).toMatch(/corner> help\n[^]*spin/);
      expect(await stateOf(page, 'Built-in guest')).toBe('running');
    });

    it('finds the console again with what it showed, after a reload', async () => {
      await page.reload();
      await expect.poll(() => consoleText(page), SOON).toMatch(/corner> help\n[^]*corner>/);
    });

    it('searches in the console, and leaves it by a key', async () => {
      await page.locator('.xterm').click();
      await page.keyboard.press('Control+Shift+F');
      await page.getByRole('textbox', { name: 'Search in the console' }).fill('threads');
      await expect.poll(() => page.locator('.count').innerText(), SOON).toMatch(/^\d+ of \d+$/);
      await page.keyboard.press('Escape');
      await page.keyboard.press('Control+F6');
      await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('role')), SOON).toBe('tab');
    });

    it('draws the load as it rises with a busy program and falls when it ends', async () => {
      await type(page, 'spin 5');
      await page.getByRole('tab', { name: 'CPU' }).click();
      await expect.poll(() => load(page, 'Guest user'), SOON).toBeGreaterThan(60);
      await expect.poll(() => drawn(page), SOON).toBeGreaterThan(0.01);
      await expect.poll(() => load(page, 'Idle'), SOON).toBeGreaterThan(80);
      await expect.poll(() => load(page, 'Guest user'), SOON).toBeLessThan(10);
      const exits = page.getByRole('region', { name: 'Exits by reason' });
      expect(await exits.getByRole('row').count()).toBeGreaterThan(2);
    });

    it('shows where the time goes, instructions by class and what was translated', async () => {
      await page.getByRole('tab', { name: 'Console' }).click();
      await type(page, 'spin 8');
      await page.getByRole('tab', { name: 'CPU' }).click();
      const time = page.getByRole('region', { name: 'Where the time goes' });
      const percent = async (name: string): Promise<number> =>
        Number.parseFloat(await time.getByRole('row', { name }).getByRole('cell').first().innerText());
      await expect.poll(() => percent('Translated code'), SOON).toBeGreaterThan(50);
      const classes = page.getByRole('region', { name: 'Instructions by class' });
      await expect.poll(() => classes.getByRole('row', { name: 'Innocuous' }).innerText(), SOON).toMatch(/\d[\d.]* [MG]/);
      const translation = page.getByRole('region', { name: 'Translation' });
      await expect.poll(() => translation.innerText(), SOON).toMatch(/[1-9]\d* now, [1-9]/);
      await expect.poll(() => percent('Translated code'), SOON).toBeLessThan(20);
    });

    it('pauses and resumes, and says in words why a button cannot be used', async () => {
      await page.getByRole('button', { name: 'Pause' }).first().click();
      await expect.poll(() => stateOf(page, 'Built-in guest'), SOON).toBe('paused');
      const shutDown = page.getByRole('button', { name: 'Shut down', exact: true });
      expect(await shutDown.getAttribute('aria-disabled')).toBe('true');
      // By keyboard: the button keeps the focus, and its reason shows.
      await page.getByRole('button', { name: 'Resume' }).first().focus();
      await page.keyboard.press('Tab');
      await expect
        .poll(() => page.getByRole('tooltip').filter({ visible: true }).allInnerTexts(), SOON)
        .toContain('A paused guest cannot see the power button: resume it, or force it off.');
      await page.getByRole('button', { name: 'Resume' }).first().click();
      await expect.poll(() => stateOf(page, 'Built-in guest'), SOON).toBe('running');
    });

    it('switches language and theme live', async () => {
      await page.getByRole('button', { name: 'Preferences' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('简体中文', { exact: true }).click();
      await page.getByRole('dialog', { name: '首选项' }).waitFor();
      expect(await page.evaluate(() => document.documentElement.lang)).toBe('zh-CN');
      await dialog.getByText('浅色').click();
      await expect.poll(() => page.evaluate(() => document.documentElement.classList.contains('dark')), SOON).toBe(false);
      await dialog.getByText('English', { exact: true }).click();
      await page.getByRole('dialog', { name: 'Preferences' }).waitFor();
      await page.keyboard.press('Escape');
    });

    it('shuts the guest down by ACPI', async () => {
      await page.getByRole('button', { name: 'Shut down', exact: true }).click();
      await expect.poll(() => stateOf(page, 'Built-in guest'), SOON).toBe('off');
      await page.getByRole('tab', { name: 'Console' }).click();
      await page.getByRole('status').filter({ hasText: 'is off.' }).waitFor();
      // What it said last is still there.
      await expect.poll(() => consoleText(page), SOON).toContain('corner>');
    });

    it('changes settings, and keeps them', async () => {
      await page.getByRole('tab', { name: 'Settings' }).click();
      const memory = page.getByRole('spinbutton', { name: 'Memory, MiB' });
      expect(await memory.inputValue()).toBe('64');
      await memory.fill('96');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('status').filter({ hasText: 'Saved.' }).waitFor();
      await page.reload();
      await expect.poll(() => memory.inputValue(), SOON).toBe('96');
    });

    it('renames with F2 and deletes after asking', async () => {
      await page.getByRole('listbox').focus();
      await page.keyboard.press('F2');
      await page.getByRole('dialog').getByRole('textbox', { name: 'Name' }).fill('Renamed guest');
      await page.keyboard.press('Enter');
      await expect.poll(() => page.getByRole('option').allInnerTexts(), SOON).toEqual([expect.stringContaining('Renamed guest')]);
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      await page.getByRole('listbox').focus();
      await page.keyboard.press('Delete');
      await page.getByRole('button', { name: 'Delete the VM' }).click();
      await page.getByRole('heading', { name: 'Welcome to Ringside' }).waitFor();
    });

    it('met no mistake in the page and nothing that its policy refused', () => {
      expect(complaints.get(page)).toEqual([]);
    });
  });

  describe('the new-VM form', () => {
    let page: Page;
    beforeAll(async () => {
      page = await openApp(browser, app);
    });
    afterAll(() => page.context().close());

    it('shows the core’s word on each mistake at its field, and loses nothing that was typed', async () => {
      await page.getByRole('heading', { name: 'Welcome to Ringside' }).waitFor();
      await page.keyboard.press('Alt+n');
      const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
      await dialog.getByText('A Linux kernel, or').click();
      await dialog.getByLabel('Kernel file').fill('/no/such/kernel');
      await dialog.getByRole('button', { name: /CPU and memory/ }).click();
      const memory = dialog.getByRole('spinbutton', { name: 'Memory, MiB' });
      await memory.fill('99999');
      await dialog.getByRole('button', { name: /Name and summary/ }).click();
      await dialog.getByLabel('Name', { exact: true }).fill('');
      await dialog.getByRole('button', { name: 'Create and start' }).click();
      const mistakes: string[] = [];
      const mend: Record<string, () => Promise<void>> = {
        name: async () => dialog.getByLabel('Name', { exact: true }).fill('Mended'),
        memory: async () => memory.fill('256'),
      };
      for (let i = 0; i < 3; i++) {
        const wrong = dialog.locator('.field.wrong');
        // The next mistake: another field than the last one.
        await expect
          .poll(() => wrong.evaluateAll((rows) => rows.map((row) => row.getAttribute('data-field'))), SOON)
          .not.toEqual(mistakes.slice(-1));
        const field = (await wrong.getAttribute('data-field'))!;
        mistakes.push(field);
        expect((await wrong.getByRole('alert').innerText()).length).toBeGreaterThan(10);
        const repair = mend[field];
        if (!repair) break;
        await repair();
        await dialog.getByRole('button', { name: /Name and summary/ }).click();
        await dialog.getByRole('button', { name: 'Create and start' }).click();
      }
      expect(new Set(mistakes)).toEqual(new Set(['name', 'memory', 'source.kernel']));
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'hidden' });
      await page.getByRole('button', { name: 'New', exact: true }).click();
      await dialog.getByRole('button', { name: /System/ }).click();
      expect(await dialog.getByLabel('Kernel file').inputValue()).toBe('/no/such/kernel');
      await dialog.getByRole('button', { name: 'Start over' }).click();
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'hidden' });
    });

    it.skipIf(missing('kernel64', 'initrd64.gz'))(
      'makes a VM that boots Linux and answers in its console window, beside another VM',
      async () => {
        await page.getByRole('button', { name: 'Boot the built-in guest' }).click();
        await page.getByRole('button', { name: 'New', exact: true }).click();
        const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
        await dialog.getByText('A Linux kernel, or').click();
        await dialog.getByLabel('Kernel file').fill(guest('kernel64'));
        await dialog.getByRole('textbox', { name: 'Initial RAM disk' }).fill(guest('initrd64.gz'));
        await dialog.getByRole('textbox', { name: 'Command line' }).fill('console=ttyS0,115200 quiet panic=-1 nokaslr checks=0 hold=1');
        // What the file is is found out before anything is made of it.
        await dialog.getByText(/^Linux kernel, \d/).waitFor();
        await dialog.getByRole('button', { name: 'Next' }).click();
        await dialog.getByRole('spinbutton', { name: 'Memory, MiB' }).fill('256');
        await dialog.getByRole('button', { name: 'Next' }).click();
        await dialog.getByRole('button', { name: 'Next' }).click();
        await dialog.getByLabel('Name', { exact: true }).fill('Linux');
        await dialog.getByRole('button', { name: 'Create and start' }).click();
        await dialog.waitFor({ state: 'hidden' });

        const opened = page.context().waitForEvent('page');
        await page.getByRole('button', { name: 'Open in its own window' }).click();
        const own = await opened;
        await expect.poll(() => consoleText(own), BOOT).toContain('GUEST-UP');
        await expect.poll(() => own.title(), SOON).toContain('Linux');
        await expect.poll(() => consoleText(own), BOOT).toMatch(/# ?$/);
        await type(own, '/bin/busybox expr 6 \\* 7');
        await expect.poll(() => consoleText(own), SOON).toMatch(/\n42\n/);

        // Both run, each with a console of its own.
        expect([await stateOf(page, 'Linux'), await stateOf(page, 'Built-in guest')]).toEqual(['running', 'running']);
        await page.getByRole('option').filter({ hasText: 'Built-in guest' }).click();
        await expect.poll(() => consoleText(page), SOON).toContain('corner>');
        expect(await consoleText(page)).not.toContain('GUEST-UP');
        await type(page, 'echo both at once');
        await expect.poll(() => consoleText(page), SOON).toMatch(/\nboth at once\n/);
        expect(complaints.get(page)).toEqual([]);
      },
    );
  });

  describe('when things go wrong', () => {
    let other: App;
    let page: Page;
    beforeAll(async () => {
      other = await startApp(['--pcpus', '1'], (state) => {
        mkdirSync(path.join(state, 'vms'));
        writeFileSync(path.join(state, 'vms', 'damaged.json'), '{ "name": "half a ');
        writeGuest(path.join(state, 'triple'), tripleFault);
      });
      page = await openApp(browser, other);
    });
    afterAll(async () => {
      await page?.context().close();
      await other?.close();
    });

    it('lists a damaged definition with its reason', async () => {
      const damaged = page.getByRole('region', { name: 'Cannot be read' });
      await damaged.getByText('damaged.json', { exact: true }).waitFor();
      expect(await damaged.innerText()).toContain(path.join(other.state, 'vms', 'damaged.json'));
    });

    it('shows why a VM crashed, and its log', async () => {
      await page.getByRole('button', { name: 'New', exact: true }).click();
      const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
      await dialog.getByText('A Linux kernel, or').click();
      await dialog.getByLabel('Kernel file').fill(path.join(other.state, 'triple'));
      for (let i = 0; i < 3; i++) await dialog.getByRole('button', { name: 'Next' }).click();
      await dialog.getByRole('button', { name: 'Create and start' }).click();
      await expect.poll(() => stateOf(page, 'triple'), SOON).toBe('crashed');
      const banner = page.getByRole('alert').filter({ hasText: 'This VM crashed' });
      expect(await banner.innerText()).toMatch(/triple fault/i);
      await banner.getByRole('button', { name: 'Open the log' }).click();
      await expect.poll(() => page.getByRole('log').innerText(), SOON).toMatch(/triple fault/i);
    });

    it('says that the connection is lost', async () => {
      await other.close();
      await page.getByText('The connection to Ringside is lost.').waitFor();
    });
  });

  it('refuses a page without the token', async () => {
    const origin = `http://127.0.0.1:${app.port}`;
    for (const url of [`${origin}/`, `${origin}/?token=wrong`, `${origin}/index.html`, `${origin}/socket`]) {
      expect((await fetch(url, { redirect: 'manual' })).status, url).toBe(403);
    }
    const context = await browser.newContext();
    const page = await context.newPage();
    expect((await page.goto(origin))?.status()).toBe(403);
    expect(await page.locator('#app').count()).toBe(0);
    await context.close();
  });
});
