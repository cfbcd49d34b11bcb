import { afterEach, describe, expect, test } from 'vitest';
import { UserError } from '../host/api.ts';
import { machineOf, memorySize, parseCommand, seconds, wholeNumber } from './options.ts';
import { endingOf } from './run.ts';
import { Terminal } from './terminal.ts';

describe('options', () => {
  test.each([
    ['512M', 512],
    ['512', 512],
    ['1G', 1024],
    ['1.5g', 1536],
    ['2048K', 2],
    ['64MiB', 64],
  ])('memory %s', (text, mib) => expect(memorySize(text)).toBe(mib));

  test.each(['', '0', '0M', 'lots', '-1', '1.3M', '5T', '1e3', '0x10', '512 M'])('memory %o is a mistake', (text) => {
    expect(() => memorySize(text)).toThrow(UserError);
  });

  test('numbers have a range', () => {
    expect(wholeNumber('3', '--pcpus', 1, 4)).toBe(3);
    for (const text of ['0', '5', '', '1.5', 'x', '-1'])
      expect(() => wholeNumber(text, '--pcpus', 1, 4), text).toThrow(/--pcpus is a whole number from 1 to 4/);
    expect(seconds('0.5', '--timeout')).toBe(0.5);
    for (const text of ['0', '', '-1', 'x', '1e9', 'Infinity']) expect(() => seconds(text, '--timeout'), text).toThrow(UserError);
  });

  test('without a kernel it is the built-in guest, in less memory', () => {
    expect(machineOf({})).toMatchObject({ source: { kind: 'builtin' }, memory: 64, vcpus: 1, disks: [] });
    expect(machineOf({ disk: ['/d', '/e'] })).toMatchObject({
      source: { kind: 'disk' },
      memory: 512,
      disks: [{ path: '/d' }, { path: '/e' }],
    });
    expect(() => machineOf({ disk: ['/d'], append: 'quiet' })).toThrow(/boot loader/);
    expect(machineOf({ kernel: '/k', initrd: '/i', append: 'quiet', disk: ['/d'] })).toMatchObject({
      source: { kind: 'kernel', kernel: '/k', initrd: '/i', append: 'quiet' },
      memory: 512,
      disks: [{ path: '/d' }],
    });
    expect(() => machineOf({ initrd: '/i' })).toThrow('--initrd goes with a --kernel.');
    expect(() => machineOf({ engine: 'steam' })).toThrow(/--engine is one of interpreter/);
    expect(machineOf({ technique: 'full' })).toMatchObject({ technique: 'full', full: undefined });
    expect(machineOf({ technique: 'full', adaptive: 'off' }).full).toEqual({ translateSensitive: true, adaptive: false });
    expect(machineOf({ technique: 'full', 'translate-sensitive': 'off' }).full).toEqual({ translateSensitive: false, adaptive: true });
    expect(() => machineOf({ adaptive: 'off' })).toThrow('--adaptive goes with --technique full.');
    expect(() => machineOf({ technique: 'full', adaptive: 'perhaps' })).toThrow(/--adaptive is one of on, off/);
    expect(() => machineOf({ firmware: 'builtin' })).toThrow(/not there yet/);
  });

  test('mistakes in the command are one sentence with the usage', () => {
    const parse = (args: string[]) => parseCommand(args, { port: { type: 'string' } }, 1, 'x NAME');
    expect(parse(['a', '--port', '1']).positionals).toEqual(['a']);
    for (const args of [[], ['a', 'b'], ['a', '--warp'], ['a', '--port']]) {
      expect(() => parse(args)).toThrow(UserError);
      expect(() => parse(args)).toThrow(/^[^\n]+Usage: x NAME$/);
    }
  });
});

test('exit statuses are those of the design', () => {
  expect(endingOf({ kind: 'power-off' })).toEqual({ status: 0 });
  expect(endingOf({ kind: 'debug-exit', value: 11 })).toEqual({ status: 11 });
  expect(endingOf({ kind: 'crash', status: 'triple-fault', reason: 'x' }).status).toBe(3);
  expect(endingOf({ kind: 'crash', status: 'device', reason: 'the device is broken' })).toEqual({
    status: 1,
    line: 'The VM crashed: the device is broken',
  });
});

describe('terminal', () => {
  const terminals: Terminal[] = [];
  afterEach(async () => {
    for (const terminal of terminals.splice(0)) await terminal.close();
  });

  /** A terminal on standard input as a TTY, as far as the code can see. */
  function onTty() {
    const { stdin } = process;
    const before = { isTTY: stdin.isTTY, setRawMode: stdin.setRawMode };
    const modes: boolean[] = [];
    Object.assign(stdin, { isTTY: true, setRawMode: (on: boolean) => (modes.push(on), stdin) });
    const input: number[] = [];
    const quits: number[] = [];
    const terminal = new Terminal();
    terminals.push(terminal);
    terminal.open({ input: (data) => input.push(...data), quit: (status) => quits.push(status) });
    const type = (text: string): boolean => stdin.emit('data', Buffer.from(text, 'latin1'));
    return { terminal, input, quits, modes, type, restore: () => Object.assign(stdin, before) };
  }

  test('Ctrl-C goes to the guest; Ctrl-A x quits; Ctrl-A twice is one', async () => {
    const { terminal, input, quits, modes, type, restore } = onTty();
    type('a\x03');
    type('\x01');
    type('\x01b\x01ac');
    expect(input).toEqual([0x61, 3, 1, 0x62, 1, 0x63]);
    expect(quits).toEqual([]);
    type('\x01x');
    expect(quits).toEqual([0]);
    await terminal.close();
    expect(modes).toEqual([true, false]);
    restore();
  });
});
