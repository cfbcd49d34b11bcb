/** A pretend guest for the mock: a boot text, a prompt, and a load that follows what is typed. */
export class MockGuest {
  readonly #print: (text: string) => void;
  #line = '';
  /** Milliseconds since the epoch until which it is busy. */
  busyUntil = 0;

  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  boot(): void {
    this.busyUntil = Date.now() + 1500;
    this.#print(
      '\r\n\x1b[1mcorner\x1b[0m on Ringside: 1 vCPU, 64 MiB\r\nType \x1b[32mhelp\x1b[0m for a list of commands. See https://ringside.invalid/\r\ncorner> ',
    );
  }

  type(text: string): void {
    for (const c of text) {
      if (c === '\r') {
        this.#print('\r\n');
        this.#run(this.#line.trim());
        this.#line = '';
        this.#print('corner> ');
      } else if (c === '\x7f') {
        if (this.#line !== '') this.#print('\b \b');
        this.#line = this.#line.slice(0, -1);
      } else if (c === '\x03') {
        this.#line = '';
        this.#print('^C\r\ncorner> ');
      } else if (c >= ' ') {
        this.#line += c;
        this.#print(c);
      }
    }
  }

  #run(line: string): void {
    const [name, argument] = line.split(/\s+/);
    if (name === '' || name === undefined) return;
    if (name === 'help')
      this.#print('cpu       what the processor says of itself\r\nhelp      this list\r\nspin N    keep the vCPU busy for N seconds\r\n');
    else if (name === 'spin') this.busyUntil = Date.now() + Number(argument ?? 5) * 1000;
    else if (name === 'colors')
      this.#print(Array.from({ length: 24 }, (_, i) => `\x1b[48;2;${i * 10};${120};${255 - i * 10}m  `).join('') + '\x1b[0m\r\n');
    else if (name === 'lines') for (let i = 1; i <= Number(argument ?? 100); i++) this.#print(`line ${i} of ${argument ?? 100}\r\n`);
    else this.#print(`${name}: no such command\r\n`);
  }
}
