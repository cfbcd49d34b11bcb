/** The process's own terminal or pipes as a serial port: bytes of the guest go out as they come, and nothing else does. */

const CTRL_A = 0x01;

export interface TerminalEvents {
  input(data: Uint8Array): void;
  /** The user or the system wants the end: `status` for the shell. */
  quit(status: number): void;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export class Terminal {
  #events: TerminalEvents | undefined;
  #raw = false;
  #escape = false;
  #pending = 0;
  #idle: (() => void) | undefined;
  #opened = false;

  /** Begins to listen. `keyboard: false`: signals only. */
  open(events: TerminalEvents, keyboard = true): void {
    this.#events = events;
    this.#opened = true;
    for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) process.on(signal, this.#onSignal);
    process.stdout.on('error', this.#onBroken);
    if (!keyboard) return;
    const { stdin } = process;
    // The end of input is not the end of the guest.
    stdin.on('error', () => {});
    stdin.on('data', this.#onData);
    if (stdin.isTTY) {
      stdin.setRawMode(true);
      this.#raw = true;
    }
  }

  write(data: Uint8Array): void {
    this.#pending++;
    process.stdout.write(data, () => {
      this.#pending--;
      if (this.#pending === 0) this.#idle?.();
    });
  }

  /** Gives the terminal back; resolves when everything is out. */
  async close(): Promise<void> {
    if (this.#pending > 0 && !process.stdout.destroyed) await new Promise<void>((resolve) => (this.#idle = resolve));
    if (!this.#opened) return;
    this.#opened = false;
    const { stdin } = process;
    if (this.#raw) stdin.setRawMode(false);
    stdin.off('data', this.#onData);
    stdin.pause();
    stdin.unref?.();
    for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => this.#events?.quit(SIGNALS[signal as keyof typeof SIGNALS] ?? 1);

  /** Whoever read the output is gone. */
  readonly #onBroken = (): void => {
    this.#idle?.();
    this.#events?.quit(141);
  };

  readonly #onData = (data: Buffer): void => {
    if (!this.#raw) {
      this.#events?.input(data);
      return;
    }
    const out: number[] = [];
    for (const byte of data) {
      if (this.#escape) {
        this.#escape = false;
        // x quits; Ctrl-A twice (or Ctrl-A a) is one Ctrl-A for the guest.
        if (byte === 0x78 || byte === 0x58) return this.#events?.quit(0);
        if (byte === CTRL_A || byte === 0x61) out.push(CTRL_A);
      } else if (byte === CTRL_A) {
        this.#escape = true;
      } else {
        out.push(byte);
      }
    }
    if (out.length > 0) this.#events?.input(Uint8Array.from(out));
    return undefined;
  };
}
