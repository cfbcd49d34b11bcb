/**
 * Makes the pictures in docs/screenshots from the app at work: `node test/e2e/screenshots.ts`. Needs a browser, the built-in guest and
 * the guests of test/guests (npm run test:guests makes them).
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { guest } from '../guests/ringside.ts';
import { consoleText, launchBrowser, openApp, startApp } from './app.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const SIZE = { width: 1120, height: 700 };

async function until(page: Page, wanted: RegExp, seconds = 240): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await page.waitForTimeout(300)) {
    if (wanted.test(await consoleText(page))) return;
  }
  throw new Error(`the console did not come to ${wanted}:\n${await consoleText(page)}`);
}

async function shoot(page: Page, name: string): Promise<void> {
  // No tooltip, no blinking cursor.
  await page.mouse.move(SIZE.width - 3, SIZE.height - 3);
  await page.waitForTimeout(900);
  await page.screenshot({ path: `${FOLDER}${name}.png`, animations: 'disabled' });
}

async function line(page: Page, text: string): Promise<void> {
  await page.locator('.xterm').click();
  await page.keyboard.type(`${text}\r`);
}

const tab = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click();
const choose = (page: Page, name: string): Promise<void> => page.getByRole('option').filter({ hasText: name }).click();

mkdirSync(FOLDER, { recursive: true });
const app = await startApp(['--pcpus', '2']);
const browser = await launchBrowser();
try {
  const page = await openApp(browser, app, { viewport: SIZE });
  await page.getByRole('heading', { name: 'Welcome to Ringside' }).waitFor();
  await shoot(page, 'welcome');

  await page.getByRole('button', { name: 'Boot the built-in guest' }).click();
  await until(page, /corner>$/);
  await line(page, 'help');

  await page.setViewportSize({ width: SIZE.width, height: 800 });
  await page.emulateMedia({ colorScheme: 'light' });
  await page.getByRole('button', { name: 'New', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
  await dialog.getByText('A Linux kernel, or').click();
  await dialog.getByLabel('Kernel file').fill(guest('kernel64'));
  await dialog.getByRole('textbox', { name: 'Initial RAM disk' }).fill(guest('initrd64.gz'));
  await dialog.getByRole('textbox', { name: 'Command line' }).fill('console=ttyS0,115200 panic=-1 checks=0 hold=1');
  await dialog.getByText(/^Linux kernel, \d/).waitFor();
  await shoot(page, 'new-vm');
  await page.setViewportSize(SIZE);
  await page.emulateMedia({ colorScheme: 'dark' });
  for (const _ of ['compute', 'disks', 'summary']) await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('Debian kernel');
  await dialog.getByRole('button', { name: 'Create and start' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await until(page, /# ?$/);
  await line(page, '/bin/busybox uname -a');
  await line(page, '/bin/busybox grep -m4 -E "model name|cpu MHz|flags|bogomips" /proc/cpuinfo');
  await page.waitForTimeout(1500);
  await shoot(page, 'console');
  // For the CPU tab: integers, then the kernel.
  await line(page, '/bench sorting,cipher,calls,processes,pages,switches 2 30');
  await until(page, /DONE switches[^]*DONE switches/, 600);
  await tab(page, 'CPU');
  await page.setViewportSize({ width: SIZE.width, height: 1290 });
  await shoot(page, 'cpu');
  await page.setViewportSize(SIZE);

  // Something to see: busy for a while, in the kernel and in a program.
  await choose(page, 'Built-in guest');
  await tab(page, 'Console');
  for (const command of ['spin 7', 'sleep 5', 'kspin 5', 'sleep 4', 'threads 4', 'spin 4']) await line(page, command);
  await page.waitForTimeout(32_000);
  await tab(page, 'Overview');
  await shoot(page, 'overview');

  await page.getByRole('button', { name: 'Technique lab' }).click();
  const lab = page.getByRole('region', { name: 'Technique lab' });
  await lab.getByRole('button', { name: 'Run' }).click();
  await lab.getByRole('button', { name: 'Stop' }).waitFor();
  await lab.getByRole('button', { name: 'Run' }).waitFor({ timeout: 240_000 });
  await lab.getByRole('button', { name: 'syscall' }).click();
  await page.setViewportSize({ width: SIZE.width, height: 960 });
  await shoot(page, 'lab');
  await page.setViewportSize(SIZE);
  await choose(page, 'Built-in guest');
  await tab(page, 'Overview');

  await page.getByRole('button', { name: 'Preferences' }).click();
  await page.getByRole('dialog').getByText('Light', { exact: true }).click();
  await page.getByRole('dialog').getByText('简体中文', { exact: true }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await tab(page, '概览');
  await shoot(page, 'chinese');
} finally {
  await browser.close();
  await app.close();
}
