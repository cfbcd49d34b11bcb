/** The app as a user meets it: `ringside serve` and a browser. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

const COMMAND = fileURLToPath(new URL('../../bin/ringside.mjs', import.meta.url));

/** Debian's browser, or the one that the environment names; undefined: there is none, and these tests are skipped. */
export const CHROMIUM = [process.env['RINGSIDE_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (file) => file !== undefined && existsSync(file),
);

export function launchBrowser(): Promise<Browser> {
  // Tests run as root in containers, where Chromium's own sandbox cannot.
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
}

export interface App {
  /** With the token: good for one browser after another. */
  readonly address: string;
  readonly port: number;
  readonly state: string;
  close(): Promise<void>;
}

/** Starts the server on a state folder of its own. Its first start in a fresh checkout builds, which takes a while. */
export function startApp(args: readonly string[] = [], prepare?: (state: string) => void): Promise<App> {
  const state = mkdtempSync(path.join(tmpdir(), 'ringside-e2e-'));
  prepare?.(state);
  const child = spawn(process.execPath, [COMMAND, 'serve', '--state', state, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const address = /http:\/\/\S+\n/.exec(output)?.[0].trim();
      if (address !== undefined) resolve({ address, port: Number(new URL(address).port), state, close: () => end(child, state) });
    });
    child.on('error', reject);
    child.on('exit', (status) => reject(new Error(`ringside serve ended with ${status}: ${errors}`)));
  });
}

async function end(child: ChildProcess, state: string): Promise<void> {
  if (child.exitCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }
  rmSync(state, { recursive: true, force: true });
}

/** What a page complained about: mistakes in the page, and what its content security policy refused. */
export const complaints = new WeakMap<Page, string[]>();

/** A new browser profile with the app open. The console's text is kept in the page, as for a screen reader, so that it can be read here. */
export async function openApp(browser: Browser, app: App, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 760 }, locale: 'en-US', colorScheme: 'dark', ...options });
  await context.addInitScript(() => localStorage.setItem('ringside.console.screenReader', 'on'));
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const list: string[] = [];
  complaints.set(page, list);
  page.on('pageerror', (error) => list.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') list.push(message.text());
  });
  await page.goto(app.address);
  // A key that is pressed earlier finds nobody.
  await page.locator('#app > *').first().waitFor();
  return page;
}

/** The lines that a console shows now. */
export async function consoleText(page: Page): Promise<string> {
  const rows = await page.locator('.xterm-accessibility-tree > div').allInnerTexts();
  return rows
    .map((row) => row.replaceAll('\u00a0', ' ').trimEnd())
    .join('\n')
    .trimEnd();
}

/** The state word of a VM in the list. */
export async function stateOf(page: Page, name: string): Promise<string | null> {
  return page.getByRole('option').filter({ hasText: name }).getAttribute('data-state');
}
