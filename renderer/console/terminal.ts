/** One terminal on one serial port: xterm with its addons, the stream from the core, paced input, and the keys that stay with us. */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import type { ISearchOptions } from '@xterm/addon-search';
import { SerializeAddon } from '@xterm/addon-serialize';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal } from '@xterm/xterm';
import type { ITheme } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import type { RingsideApi } from '../../electron/ipc.ts';
import { styleCellsThroughCssom, withAdoptedStyles } from './inline-styles.ts';
import { PacedWriter } from './paced-writer.ts';
import type { Progress } from './paced-writer.ts';
import { ConsoleStream } from './stream.ts';

export type ConsoleCommand = 'copy' | 'paste' | 'search' | 'leave' | 'larger' | 'smaller';

export interface ConsoleEvents {
  readonly size: (cols: number, rows: number) => void;
  readonly progress: (progress: Progress | undefined) => void;
  readonly command: (command: ConsoleCommand) => void;
  readonly results: (index: number, count: number) => void;
  readonly error: (reason: unknown) => void;
}

export interface Look {
  readonly theme: ITheme;
  /** CSS pixels. */
  readonly fontSize: number;
  /** Keep the screen's text in the page for screen readers. */
  readonly screenReader: boolean;
}

/** Lines kept to scroll back to: more than the core keeps of a port (256 KiB) in most cases. */
const SCROLLBACK_LINES = 10_000;

export class ConsoleTerminal {
  readonly terminal: Terminal;
  readonly #api: RingsideApi;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #serialize = new SerializeAddon();
  readonly #writer: PacedWriter;
  readonly #events: ConsoleEvents;
  readonly #off: (() => void)[] = [];
  #resize: ResizeObserver | undefined;

  constructor(api: RingsideApi, id: string, port: number, look: Look, events: ConsoleEvents) {
    this.#api = api;
    this.#events = events;
    this.terminal = new Terminal({
      allowProposedApi: true,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
      fontSize: look.fontSize,
      theme: look.theme,
      scrollback: SCROLLBACK_LINES,
      cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      minimumContrastRatio: 4.5,
      screenReaderMode: look.screenReader,
    });
    this.terminal.loadAddon(this.#fit);
    this.terminal.loadAddon(this.#search);
    this.terminal.loadAddon(this.#serialize);
    this.terminal.loadAddon(new WebLinksAddon((_event, uri) => window.open(uri, '_blank', 'noopener,noreferrer')));
    this.terminal.attachCustomKeyEventHandler((event) => this.#key(event));

    const encoder = new TextEncoder();
    this.#writer = new PacedWriter((data) => void api.call('write', { id, port, data }).catch(events.error), events.progress);
    this.terminal.onData((text) => this.#writer.write(encoder.encode(text)));
    this.terminal.onBinary((text) => this.#writer.write(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.terminal.onResize(({ cols, rows }) => events.size(cols, rows));
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) => events.results(resultIndex, resultCount));
    this.#follow(id, port);
  }

  /** Shows the terminal in `parent`, which must be laid out. */
  open(parent: HTMLElement): void {
    withAdoptedStyles(() => this.terminal.open(parent));
    this.#useWebgl();
    this.fit();
    this.#resize = new ResizeObserver(() => this.fit());
    this.#resize.observe(parent);
  }

  fit(): void {
    // A hidden parent has no size, and xterm would shrink to its minimum and break the lines.
    if ((this.terminal.element?.parentElement?.clientWidth ?? 0) > 0) this.#fit.fit();
  }

  setLook(look: Look): void {
    this.terminal.options.theme = look.theme;
    this.terminal.options.fontSize = look.fontSize;
    this.terminal.options.screenReaderMode = look.screenReader;
    this.fit();
  }

  /** Pastes as the guest asked for it (bracketed or not), paced. */
  paste(text: string): void {
    this.terminal.paste(text);
    this.terminal.focus();
  }

  cancelPaste(): void {
    this.#writer.cancel();
  }

  /** Everything that can be scrolled to, as plain text. */
  text(): string {
    const buffer = this.terminal.buffer.normal;
    const lines: string[] = [];
    for (let y = 0; y < buffer.length; y++) {
      const line = buffer.getLine(y);
      const text = line?.translateToString(true) ?? '';
      if (line?.isWrapped && lines.length > 0) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return `${lines.join('\n').trimEnd()}\n`;
  }

  /** The same with the escape sequences of its colours. */
  ansi(): string {
    return this.#serialize.serialize();
  }

  find(text: string, backwards: boolean, options: Pick<ISearchOptions, 'caseSensitive' | 'regex' | 'incremental'>): boolean {
    const decorations: ISearchOptions['decorations'] = {
      matchBackground: '#7a6a2a',
      matchOverviewRuler: '#e0a000',
      activeMatchBackground: '#d9a514',
      activeMatchColorOverviewRuler: '#e0a000',
    };
    const all = { ...options, decorations };
    return backwards ? this.#search.findPrevious(text, all) : this.#search.findNext(text, all);
  }

  endSearch(): void {
    this.#search.clearDecorations();
    this.terminal.focus();
  }

  /** Main screen, DECSTR (soft terminal reset), default colours; the text stays. */
  softReset(): void {
    this.terminal.write('\x1b[?1049l\x1b[!p\x1b[0m');
  }

  dispose(): void {
    for (const off of this.#off) off();
    this.#writer.cancel();
    this.#resize?.disconnect();
    this.terminal.dispose();
  }

  #follow(id: string, port: number): void {
    const stream = new ConsoleStream((data) => this.terminal.write(data));
    this.#off.push(
      this.#api.on('console', (piece) => {
        if (piece.id === id && piece.port === port) stream.live(piece);
      }),
    );
    this.#api.call('scrollback', { id, port }).then(
      (kept) => stream.begin(kept),
      (reason: unknown) => {
        stream.begin({ data: new Uint8Array(), end: 0 });
        this.#events.error(reason);
      },
    );
  }

  #useWebgl(): void {
    try {
      const webgl = new WebglAddon();
      // The GPU process can be lost at any time; xterm's DOM renderer then takes over.
      webgl.onContextLoss(() => {
        withAdoptedStyles(() => webgl.dispose());
        styleCellsThroughCssom(this.terminal);
      });
      this.terminal.loadAddon(webgl);
    } catch {
      // No WebGL 2: the DOM renderer, which `open` has set up, stays.
      styleCellsThroughCssom(this.terminal);
    }
  }

  /** False keeps a key from the guest. */
  #key(event: KeyboardEvent): boolean {
    const command = commandOf(event);
    if (!command) return true;
    // Ctrl+Shift+V is left to the browser: it fires a paste event, which xterm reads without asking for permission.
    if (command === 'paste') return false;
    event.preventDefault();
    if (event.type === 'keydown') this.#events.command(command);
    return false;
  }
}

export function commandOf(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey'>): ConsoleCommand | undefined {
  if (!event.ctrlKey || event.altKey || event.metaKey) return undefined;
  if (event.key === 'F6') return 'leave';
  if (event.key === '+' || event.key === '=') return 'larger';
  if (event.key === '-' && !event.shiftKey) return 'smaller';
  if (!event.shiftKey) return undefined;
  switch (event.key.toLowerCase()) {
    case 'c':
      return 'copy';
    case 'v':
      return 'paste';
    case 'f':
      return 'search';
    default:
      return undefined;
  }
}
