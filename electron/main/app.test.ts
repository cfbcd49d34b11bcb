import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL, EVENT, type Answer } from '../channels.ts';
import { bridge } from '../preload/bridge.ts';
import { FakeHost } from '../testing/fake-host.ts';
import { languageOf, startApp, type DesktopApp, type ElectronParts } from './app.ts';
import { menuTemplate } from './menu.ts';

/** As much of Electron as the app uses; what the app asks for is kept for the tests to look at. */
function fakeElectron() {
  const windows: FakeWindow[] = [];
  class FakeContents extends EventEmitter {
    sent: unknown[][] = [];
    openHandler: ((details: { url: string }) => { action: string }) | undefined;
    url = '';
    getURL = () => this.url;
    send = (...args: unknown[]) => void this.sent.push(args);
    setWindowOpenHandler = (handler: (details: { url: string }) => { action: string }) => (this.openHandler = handler);
  }
  class FakeWindow extends EventEmitter {
    static getAllWindows = () => windows.filter((window) => !window.destroyed);
    static getFocusedWindow = () => null;
    readonly webContents = new FakeContents();
    destroyed = false;
    focused = 0;
    shown = false;
    hash: string | undefined;
    readonly options: Electron.BrowserWindowConstructorOptions;
    constructor(options: Electron.BrowserWindowConstructorOptions) {
      super();
      this.options = options;
      windows.push(this);
    }
    loadFile = async (file: string, { hash }: { hash?: string }) => {
      this.webContents.url = pathToFileURL(file).href + (hash === undefined ? '' : `#${hash}`);
      this.hash = hash;
    };
    show = () => (this.shown = true);
    focus = () => this.focused++;
    isMinimized = () => false;
    restore = () => {};
    isDestroyed = () => this.destroyed;
    close() {
      this.destroyed = true;
      this.emit('closed');
    }
  }
  const app = Object.assign(new EventEmitter(), {
    getLocale: () => 'zh-CN',
    quit: () => void app.emit('before-quit', { preventDefault: () => {} }),
    exited: -1,
    exit: (code: number) => (app.exited = code),
  });
  const asked: unknown[] = [];
  const dialog = {
    answer: 0,
    files: [] as string[],
    showMessageBoxSync: (question: unknown) => (asked.push(question), dialog.answer),
    showOpenDialog: async () => ({ canceled: dialog.files.length === 0, filePaths: dialog.files }),
  };
  const handlers = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const permissions: { request?: (contents: FakeContents, name: string, answer: (ok: boolean) => void) => void } = {};
  let headers: ((details: object, answer: (value: { responseHeaders: Record<string, string[]> }) => void) => void) | undefined;
  const opened: string[] = [];
  const menus: Electron.MenuItemConstructorOptions[][] = [];
  const parts = {
    app,
    BrowserWindow: FakeWindow,
    Menu: { setApplicationMenu: () => {}, buildFromTemplate: (template: Electron.MenuItemConstructorOptions[]) => menus.push(template) },
    dialog,
    ipcMain: {
      handle: (channel: string, handler: never) => handlers.set(channel, handler),
      removeHandler: (channel: string) => handlers.delete(channel),
    },
    session: {
      defaultSession: {
        setPermissionRequestHandler: (handler: never) => (permissions.request = handler),
        setPermissionCheckHandler: () => {},
        webRequest: { onHeadersReceived: (handler: never) => (headers = handler) },
      },
    },
    shell: { openExternal: async (url: string) => opened.push(url) },
    nativeTheme: { themeSource: 'system', shouldUseDarkColors: false },
  };
  return { parts, windows, app, asked, dialog, handlers, permissions, opened, menus, headers: () => headers! };
}

let folder: string;
let host: FakeHost;
let fake: ReturnType<typeof fakeElectron>;
let desktop: DesktopApp;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-electron-'));
  host = new FakeHost();
  fake = fakeElectron();
  desktop = startApp({
    electron: fake.parts as unknown as ElectronParts,
    host,
    renderer: folder,
    preload: path.join(folder, 'preload.cjs'),
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const page = (): string => pathToFileURL(path.join(folder, 'index.html')).href;
const call = (name: unknown, args: unknown, frame: object | null = { url: page(), parent: null }): Promise<Answer> =>
  fake.handlers.get(CALL)!({ senderFrame: frame }, name, args) as Promise<Answer>;

describe('windows', () => {
  test('are sandboxed, isolated, without Node, and shown when they are ready', () => {
    desktop.openMain();
    const [window] = fake.windows;
    expect(window!.options.webPreferences).toMatchObject({
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      webSecurity: true,
    });
    expect(window!.shown).toBe(false);
    window!.emit('ready-to-show');
    expect(window!.shown).toBe(true);
    desktop.openMain();
    expect(fake.windows).toHaveLength(1);
    expect(window!.focused).toBe(1);
  });

  test('go nowhere else; links open outside, and only web addresses', () => {
    desktop.openMain();
    const { webContents } = fake.windows[0]!;
    const visit = (address: string): boolean => {
      let prevented = false;
      webContents.emit('will-navigate', { preventDefault: () => (prevented = true) }, address);
      return !prevented;
    };
    expect(visit(`${page()}#/vm/a`)).toBe(true);
    for (const address of ['https://example.invalid/', 'file:///etc/passwd', `${page()}.evil`, 'javascript:alert(1)'])
      expect(visit(address), address).toBe(false);
    for (const url of ['https://example.invalid/', 'file:///etc/passwd', 'smb://x', 'no address']) {
      expect(webContents.openHandler!({ url })).toEqual({ action: 'deny' });
    }
    expect(fake.opened).toEqual(['https://example.invalid/']);
  });

  test('get no permission but the clipboard', () => {
    desktop.openMain();
    const { webContents } = fake.windows[0]!;
    const asks = (name: string): boolean => {
      let answer = false;
      fake.permissions.request!(webContents, name, (ok) => (answer = ok));
      return answer;
    };
    expect(asks('clipboard-read')).toBe(true);
    for (const name of ['media', 'geolocation', 'notifications', 'usb', 'fullscreen', 'openExternal']) expect(asks(name), name).toBe(false);
    webContents.url = 'https://example.invalid/';
    expect(asks('clipboard-read')).toBe(false);
    let policy = '';
    fake.headers()({ responseHeaders: {} }, ({ responseHeaders }) => (policy = responseHeaders['Content-Security-Policy']![0]!));
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
  });

  test('one console window for each port, opened again after it was closed', async () => {
    expect(await call('openConsole', { id: 'a', port: 1 })).toEqual({ value: 'window' });
    await call('openConsole', { id: 'a', port: 1 });
    expect(fake.windows.map(({ hash }) => hash)).toEqual(['/console/a/1']);
    expect(fake.windows[0]!.focused).toBe(1);
    fake.windows[0]!.close();
    await call('openConsole', { id: 'a', port: 1 });
    expect(fake.windows).toHaveLength(2);
  });
});

describe('calls', () => {
  test('are answered to our own top frame only', async () => {
    expect(await call('list', {})).toMatchObject({ value: { vms: [host.summary] } });
    for (const frame of [null, { url: 'https://example.invalid/', parent: null }, { url: page(), parent: {} }]) {
      expect(await call('list', {}, frame)).toMatchObject({ error: { message: expect.stringMatching(/own page/) } });
    }
  });

  test('mistakes are values with message and field', async () => {
    expect(await call('start', { id: 'a' })).toEqual({ error: { message: 'It is running already.' } });
    expect(await call('nonsense', {})).toEqual({ error: { message: 'There is no such call.' } });
    expect(await call('toString', {})).toEqual({ error: { message: 'There is no such call.' } });
    expect(await call('write', { id: 'a', port: 9, data: new Uint8Array() })).toMatchObject({ error: { field: 'port' } });
  });

  test('the dialog gives a file, looked at; or null', async () => {
    expect(await call('chooseFile', { purpose: 'kernel' })).toEqual({ value: null });
    const file = path.join(folder, 'kernel');
    writeFileSync(file, Uint8Array.of(0x7f, 0x45, 0x4c, 0x46));
    fake.dialog.files = [file];
    expect(await call('chooseFile', { purpose: 'kernel' })).toEqual({ value: { path: file, size: 4, kind: 'elf' } });
  });

  test('the preload’s bridge speaks the same', async () => {
    let listener: (...args: unknown[]) => void = () => {};
    const api = bridge({
      invoke: (_channel, name, args) => call(name, args),
      on: (_channel, added) => (listener = added),
    });
    expect((await api.call('list')).vms).toHaveLength(1);
    await expect(api.call('start', { id: 'a' })).rejects.toEqual({ message: 'It is running already.' });
    const seen: unknown[] = [];
    const off = api.on('log', (event) => seen.push(event));
    listener('log', { id: 'a', line: 'x' });
    off();
    listener('log', { id: 'a', line: 'y' });
    expect(seen).toEqual([{ id: 'a', line: 'x' }]);
  });
});

test('events go to every window', () => {
  desktop.openMain();
  host.emit('log', 'a', 'a line');
  expect(fake.windows[0]!.webContents.sent).toEqual([[EVENT, 'log', { id: 'a', line: 'a line' }]]);
});

test('theme and menu follow the settings', async () => {
  expect(fake.parts.nativeTheme.themeSource).toBe('dark');
  await host.changeSettings({ theme: 'light', language: 'zh' });
  expect(fake.parts.nativeTheme.themeSource).toBe('light');
  expect(fake.menus.at(-1)!.map(({ label }) => label)).toContain('编辑');
  expect(languageOf('system', 'zh-TW')).toBe('zh');
  expect(languageOf('system', 'de')).toBe('en');
  expect(menuTemplate('darwin', 'en')[0]).toEqual({ role: 'appMenu' });
});

test('quitting with running VMs asks first; then the host is closed before the app ends', async () => {
  desktop.openMain();
  fake.dialog.answer = 1;
  fake.app.quit();
  expect(fake.asked).toHaveLength(1);
  expect(host.closed).toBe(false);
  fake.dialog.answer = 0;
  fake.app.quit();
  await expect.poll(() => fake.app.exited).toBe(0);
  expect(host.closed).toBe(true);
});
