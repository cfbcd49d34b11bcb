/**
 * Makes the pictures of techniques in docs/screenshots from the app at work: `node test/e2e/screenshots-techniques.ts`. Needs a browser and
 * the built-in guest.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { consoleText, launchBrowser, openApp, startApp } from './app.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const SIZE = { width: 1120, height: 820 };

async function shoot(page: Page, name: string): Promise<void> {
  await page.mouse.move(SIZE.width - 3, SIZE.height - 3);
  await page.waitForTimeout(900);
  await page.screenshot({ path: `${FOLDER}${name}.png`, animations: 'disabled' });
}

async function line(page: Page, text: string): Promise<void> {
  await page.locator('.xterm').click();
  await page.keyboard.type(`${text}\r`);
}

const tab = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click();

mkdirSync(FOLDER, { recursive: true });
const app = await startApp(['--pcpus', '2']);
const browser = await launchBrowser();
try {
  const page = await openApp(browser, app, { viewport: SIZE });
  await page.setViewportSize({ width: SIZE.width, height: 980 });
  await page.getByText('How this was told').click();
  await shoot(page, 'host');
  await page.setViewportSize(SIZE);

  await page.keyboard.press('Alt+n');
  const dialog = page.getByRole('dialog', { name: 'New virtual machine' });
  await dialog.getByRole('button', { name: /CPU and memory/ }).click();
  await dialog.getByText('Advanced').click();
  await dialog.getByRole('radio', { name: /Full virtualization/ }).check();
  await dialog.getByText('Adaptive translation').scrollIntoViewIfNeeded();
  await shoot(page, 'technique');
  await dialog.getByRole('button', { name: /Name and summary/ }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('Full virtualization');
  await dialog.getByRole('button', { name: 'Create and start' }).click();
  for (let i = 0; i < 100 && !(await consoleText(page)).includes('corner>'); i++) await page.waitForTimeout(300);
  for (const command of ['spin 6', 'kspin 6', 'threads 4', 'spin 8']) await line(page, command);
  await tab(page, 'CPU');
  await page.waitForTimeout(18_000);
  await page.setViewportSize({ width: SIZE.width, height: 1500 });
  await shoot(page, 'rings');
  await page.setViewportSize({ width: SIZE.width, height: 1000 });
  await tab(page, 'Kinds');
  await shoot(page, 'kinds');

  await page.getByRole('button', { name: 'Preferences' }).click();
  await page.getByRole('dialog').getByText('Light', { exact: true }).click();
  await page.getByRole('dialog').getByText('简体中文', { exact: true }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await tab(page, '九种');
  await shoot(page, 'kinds-chinese');
} finally {
  await browser.close();
  await app.close();
}
