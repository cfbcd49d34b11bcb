/**
 * Makes the pictures of paravirtualization in docs/screenshots from the app at work: `node test/e2e/screenshots-para.ts`. Needs a browser and
 * the guests of test/guests.
 */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { guest } from '../guests/ringside.ts';
import { consoleText, launchBrowser, openApp, startApp } from './app.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const SIZE = { width: 1120, height: 820 };

async function shoot(page: Page, name: string, height = SIZE.height): Promise<void> {
  await page.setViewportSize({ width: SIZE.width, height });
  await page.mouse.move(SIZE.width - 3, height - 3);
  await page.waitForTimeout(1200);
  await page.screenshot({ path: `${FOLDER}${name}.png`, animations: 'disabled' });
}

async function shows(page: Page, text: string): Promise<void> {
  for (let i = 0; i < 300 && !(await consoleText(page)).includes(text); i++) await page.waitForTimeout(400);
}

const tab = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click();

async function prefer(page: Page, button: string, choices: readonly string[]): Promise<void> {
  await page.getByRole('button', { name: button }).click();
  for (const choice of choices) await page.getByRole('dialog').getByText(choice, { exact: true }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
}

mkdirSync(FOLDER, { recursive: true });
const app = await startApp(['--pcpus', '2']);
const browser = await launchBrowser();
try {
  const [system, data] = ['system.raw', 'data.raw'].map((name) => path.join(app.state, name)) as [string, string];
  for (const file of [system, data]) {
    writeFileSync(file, '');
    truncateSync(file, 256 << 20);
  }
  const page = await openApp(browser, app, { viewport: SIZE });
  await page.getByRole('button', { name: 'New', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
  await dialog.getByText('Kernel', { exact: true }).click();
  await dialog.getByLabel('Kernel file').fill(guest('kernel64'));
  await dialog.getByRole('textbox', { name: 'Initial RAM disk' }).fill(guest('initrd64disk.gz'));
  await dialog.getByRole('textbox', { name: 'Command line' }).fill('console=hvc0 panic=-1 size=100 reads=1 plug=1');
  await dialog.getByRole('button', { name: /CPU and memory/ }).click();
  await dialog.getByText('Advanced').click();
  await dialog.getByRole('radio', { name: /^Paravirtualization/ }).check();
  await dialog.getByText('Asynchrony', { exact: true }).scrollIntoViewIfNeeded();
  await shoot(page, 'para-technique');
  await dialog.getByRole('button', { name: /Disks/ }).click();
  await dialog.getByRole('button', { name: 'Add a disk' }).click();
  await dialog.getByRole('textbox', { name: 'Disk 1' }).fill(system);
  await dialog.getByRole('button', { name: /Name and summary/ }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('Paravirtualized Linux');
  await dialog.getByRole('button', { name: 'Create and start' }).click();

  await shows(page, 'PLUG-READY');
  await shoot(page, 'para-console');
  await tab(page, 'Overview');
  await page.getByRole('button', { name: 'Attach a disk…' }).click();
  await page.getByLabel('Image file').fill(data);
  await page.getByRole('button', { name: 'Attach', exact: true }).click();
  await page.getByRole('tabpanel').getByText('the guest sees it as').waitFor();
  await shoot(page, 'para-disks', 720);
  await tab(page, 'Console');
  await shows(page, 'PLUG-SUM');
  await tab(page, 'CPU');
  await shoot(page, 'para-hypercalls', 1560);
  await tab(page, 'Kinds');
  await shoot(page, 'para-kinds', 1040);

  await prefer(page, 'Preferences', ['Light', '简体中文']);
  await tab(page, 'CPU');
  await shoot(page, 'para-chinese', 1560);
} finally {
  await browser.close();
  await app.close();
}
