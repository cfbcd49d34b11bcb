/**
 * The desktop app's main process: windows, menus, dialogs, and the door between renderer and host. It gets Electron as a value, so that
 * tests run it without Electron.
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Electron from 'electron';
import type { Host } from '../../core/host/api.ts';
import { CALL, EVENT, type Answer } from '../channels.ts';
import { callError, dispatch, forwardEvents, handlersOf } from '../dispatch.ts';
import type { CallError, ChosenFile, ConsolePlace } from '../ipc.ts';
import { inspect } from '../../core/host/files.ts';
import { menuTemplate } from './menu.ts';

export type ElectronParts = Pick<
  typeof Electron,
  'app' | 'BrowserWindow' | 'Menu' | 'dialog' | 'ipcMain' | 'session' | 'shell' | 'nativeTheme'
>;

export interface AppOptions {
  readonly electron: ElectronParts;
  readonly host: Host;
  /** Folder of the built renderer. */
  readonly renderer: string;
  /** The built preload script (CommonJS: it runs in the sandbox). */
  readonly preload: string;
}

/** What pages may link to. */
const EXTERNAL = new Set(['https:', 'http:', 'mailto:']);

export interface DesktopApp {
  openMain(): Electron.BrowserWindow;
  close(): Promise<void>;
}

/** To be called when Electron is ready. */
export function startApp({ electron, host, renderer, preload }: AppOptions): DesktopApp {
  const { app, BrowserWindow, Menu, dialog, ipcMain, session, shell, nativeTheme } = electron;
  const page = pathToFileURL(path.join(renderer, 'index.html')).href;
  const consoles = new Map<string, Electron.BrowserWindow>();
  let main: Electron.BrowserWindow | undefined;
  let closing = false;

  const isOurs = (address: string): boolean => address.split(/[?#]/, 1)[0] === page;

  // A page gets no permission but the clipboard, which the consoles copy to and paste from.
  const allowed = new Set(['clipboard-read', 'clipboard-sanitized-write']);
  session.defaultSession.setPermissionRequestHandler((contents, permission, answer) =>
    answer(allowed.has(permission) && isOurs(contents.getURL())),
  );
  session.defaultSession.setPermissionCheckHandler(
    (contents, permission) => contents !== null && allowed.has(permission) && isOurs(contents.getURL()),
  );
  session.defaultSession.webRequest.onHeadersReceived((details, answer) => {
    answer({ responseHeaders: { ...details.responseHeaders, 'Content-Security-Policy': [POLICY] } });
  });

  const secure = (window: Electron.BrowserWindow): void => {
    const { webContents } = window;
    webContents.on('will-navigate', (event, address) => {
      if (!isOurs(address)) event.preventDefault();
    });
    webContents.on('will-attach-webview', (event) => event.preventDefault());
    webContents.setWindowOpenHandler(({ url }) => {
      if (URL.canParse(url) && EXTERNAL.has(new URL(url).protocol)) void shell.openExternal(url);
      return { action: 'deny' };
    });
  };

  const open = (width: number, height: number, hash: string): Electron.BrowserWindow => {
    const window = new BrowserWindow({
      width,
      height,
      minWidth: 480,
      minHeight: 320,
      show: false,
      title: 'Ringside',
      backgroundColor: nativeTheme.shouldUseDarkColors ? '#16181d' : '#ffffff',
      webPreferences: { preload, contextIsolation: true, sandbox: true, nodeIntegration: false, webSecurity: true, spellcheck: false },
    });
    secure(window);
    window.once('ready-to-show', () => window.show());
    void window.loadFile(path.join(renderer, 'index.html'), hash === '' ? {} : { hash });
    return window;
  };

  const openMain = (): Electron.BrowserWindow => {
    if (main !== undefined && !main.isDestroyed()) {
      if (main.isMinimized()) main.restore();
      main.focus();
      return main;
    }
    const window = open(1200, 800, '');
    main = window;
    window.on('closed', () => {
      if (main === window) main = undefined;
    });
    return window;
  };

  const openConsole = ({ id, port }: { id: string; port: number }): ConsolePlace => {
    const key = `${id}/${port}`;
    const there = consoles.get(key);
    if (there !== undefined && !there.isDestroyed()) {
      if (there.isMinimized()) there.restore();
      there.focus();
      return 'window';
    }
    const window = open(860, 560, `/console/${id}/${port}`);
    consoles.set(key, window);
    window.on('closed', () => consoles.delete(key));
    return 'window';
  };

  const chooseFile = async (purpose: 'kernel' | 'initrd' | 'module' | 'disk'): Promise<ChosenFile | null> => {
    const options: Electron.OpenDialogOptions = { properties: ['openFile', 'dontAddToRecent'] };
    const parent = BrowserWindow.getFocusedWindow() ?? main;
    const chosen = parent === undefined ? await dialog.showOpenDialog(options) : await dialog.showOpenDialog(parent, options);
    const [file] = chosen.filePaths;
    return chosen.canceled || file === undefined ? null : inspect(file, purpose);
  };

  const handlers = handlersOf(host, { chooseFile: ({ purpose }) => chooseFile(purpose), openConsole });
  ipcMain.handle(CALL, async (event, name: unknown, args: unknown): Promise<Answer> => {
    // Only the top frame of our own page is answered.
    if (event.senderFrame === null || event.senderFrame.parent !== null || !isOurs(event.senderFrame.url)) {
      return { error: { message: 'Calls are answered to Ringside’s own page only.' } };
    }
    try {
      return { value: await dispatch(handlers, name, args) };
    } catch (error) {
      return { error: error instanceof Error ? callError(error) : (error as CallError) };
    }
  });
  const stopEvents = forwardEvents(host, (event, payload) => {
    for (const window of BrowserWindow.getAllWindows()) {
      if (!window.isDestroyed()) window.webContents.send(EVENT, event, payload);
    }
  });

  const applySettings = (): void => {
    nativeTheme.themeSource = host.settings().theme;
    Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(process.platform, languageOf(host.settings().language, app.getLocale()))));
  };
  applySettings();
  const stopSettings = host.on('settings', applySettings);

  const close = async (): Promise<void> => {
    stopEvents();
    stopSettings();
    ipcMain.removeHandler(CALL);
    await host.close();
  };
  app.on('activate', openMain);
  app.on('second-instance', openMain);
  app.on('window-all-closed', () => {
    // On macOS an app lives on without windows.
    if (process.platform !== 'darwin') app.quit();
  });
  app.on('before-quit', (event) => {
    if (closing) return;
    closing = true;
    event.preventDefault();
    const running = host.list().vms.filter(({ state }) => state !== 'off' && state !== 'crashed');
    const answer =
      running.length === 0
        ? 0
        : dialog.showMessageBoxSync(quitQuestion(languageOf(host.settings().language, app.getLocale()), running.length));
    if (answer !== 0) {
      closing = false;
      // The windows may be gone already.
      openMain();
      return;
    }
    void close().finally(() => app.exit(0));
  });

  return { openMain, close };
}

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const languageOf = (setting: 'system' | 'en' | 'zh', locale: string): 'en' | 'zh' =>
  setting !== 'system' ? setting : locale.startsWith('zh') ? 'zh' : 'en';

function quitQuestion(language: 'en' | 'zh', running: number): Electron.MessageBoxSyncOptions {
  return language === 'zh'
    ? {
        type: 'warning',
        message: `有 ${running} 个虚拟机正在运行。`,
        detail: '退出会强制关闭它们。',
        buttons: ['强制关闭并退出', '取消'],
        defaultId: 1,
        cancelId: 1,
      }
    : {
        type: 'warning',
        message: running === 1 ? 'A VM is running.' : `${running} VMs are running.`,
        detail: 'Quitting switches them off without shutting them down.',
        buttons: ['Switch off and quit', 'Cancel'],
        defaultId: 1,
        cancelId: 1,
      };
}
