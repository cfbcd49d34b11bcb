import { expect, test } from 'vitest';
import * as xs from '../vmm/para/xenstore/wire.ts';
import { ParaFixture } from './para-devices-fixture.ts';

const { XS_READ, XS_WRITE, XS_DIRECTORY, XS_MKDIR, XS_RM, XS_WATCH, XS_UNWATCH, XS_GET_PERMS, XS_SET_PERMS } = xs;
const START = xs.XS_TRANSACTION_START;
const END = xs.XS_TRANSACTION_END;

test('a guest reads what the toolstack says of it, relative to its directory and absolute', () => {
  const guest = new ParaFixture();
  expect(guest.say(XS_READ, 'name\0')).toBe('test');
  expect(guest.say(XS_READ, '/local/domain/1/domid\0')).toBe('1');
  expect(guest.say(XS_DIRECTORY, 'device\0')).toBe('vbd|');
  expect(guest.say(xs.XS_GET_DOMAIN_PATH, '1\0')).toBe('/local/domain/1|');
  expect(guest.say(xs.XS_IS_DOMAIN_INTRODUCED, '1\0')).toBe('T|');
  expect(guest.say(xs.XS_IS_DOMAIN_INTRODUCED, '7\0')).toBe('F|');
  // The guest is told that there is something to read.
  expect(guest.events).toContain(1);
});

test('nodes are made with those above them, have values of any bytes, and go with those below them', () => {
  const guest = new ParaFixture();
  expect(guest.say(XS_WRITE, 'data/a/b\0one\xffe')).toBe('OK|');
  expect(guest.say(XS_READ, 'data/a/b\0')).toBe('one\xffe');
  expect(guest.say(XS_READ, 'data/a\0')).toBe('');
  expect(guest.say(XS_MKDIR, 'data/a/c\0')).toBe('OK|');
  expect(guest.say(XS_MKDIR, 'data/a/b\0')).toBe('OK|');
  expect(guest.say(XS_READ, 'data/a/b\0')).toBe('one\xffe');
  expect(guest.say(XS_DIRECTORY, 'data/a\0')).toBe('b|c|');
  expect(guest.say(XS_RM, 'data/a\0')).toBe('OK|');
  expect(guest.say(XS_READ, 'data/a/b\0')).toBe('ENOENT|');
  expect(guest.say(XS_RM, 'data/a\0')).toBe('OK|');
  expect(guest.say(XS_RM, 'data/a/b/c\0')).toBe('ENOENT|');
});

test('what is not a guest’s it may not change, and may read only if it is said so', () => {
  const guest = new ParaFixture();
  expect(guest.say(XS_WRITE, 'name\0another')).toBe('EACCES|');
  expect(guest.say(XS_WRITE, '/local/domain/0/x\0y')).toBe('EACCES|');
  expect(guest.say(XS_RM, '/local\0')).toBe('EACCES|');
  expect(guest.say(XS_RM, '/\0')).toBe('EINVAL|');
  expect(guest.say(XS_READ, '/\0')).toBe('EACCES|');
  expect(guest.say(XS_GET_PERMS, 'name\0')).toBe('n0|r1|');
  expect(guest.say(XS_SET_PERMS, 'name\0n1\0')).toBe('EACCES|');
  expect(guest.say(XS_SET_PERMS, 'data\0n1\0r0\0')).toBe('OK|');
  expect(guest.say(XS_GET_PERMS, 'data\0')).toBe('n1|r0|');
  // It cannot give away what it has.
  expect(guest.say(XS_SET_PERMS, 'data\0n0\0')).toBe('EACCES|');
  expect(guest.say(xs.XS_CONTROL, 'help\0')).toBe('EACCES|');
});

test('a watch tells at once, and of every change at and below its path, as it was named', () => {
  const guest = new ParaFixture();
  expect(guest.say(XS_WATCH, 'data\0token\0')).toBe('OK|');
  expect(guest.watched()).toEqual(['data|token|']);
  expect(guest.say(XS_WATCH, 'data\0token\0')).toBe('EEXIST|');
  guest.say(XS_WATCH, '/local/domain/1/data/a\0other\0');
  guest.watched();
  guest.say(XS_WRITE, 'data/a/b\0x');
  expect(guest.watched()).toEqual(['data/a/b|token|', '/local/domain/1/data/a/b|other|']);
  guest.say(XS_RM, 'data\0');
  // The second watch is told of its own node, which went with the one above.
  expect(guest.watched()).toEqual(['data|token|', '/local/domain/1/data/a|other|']);
  expect(guest.say(XS_UNWATCH, 'data\0token\0')).toBe('OK|');
  expect(guest.say(XS_UNWATCH, 'data\0token\0')).toBe('ENOENT|');
  guest.say(XS_WRITE, 'control/x\0y');
  expect(guest.watched()).toEqual([]);
});

test('a guest is not told of what it may not read', () => {
  const guest = new ParaFixture();
  guest.say(XS_WATCH, '/\0all\0');
  guest.watched();
  guest.devices.shutdown('poweroff');
  expect(guest.watched()).toEqual(['/local/domain/1/control/shutdown|all|']);
  expect(guest.say(XS_READ, 'control/shutdown\0')).toBe('poweroff');
});

test('a transaction is seen by nobody else until it ends, and is to be done again if anything changed meanwhile', () => {
  const guest = new ParaFixture();
  const id = Number.parseInt(guest.say(START, '\0'));
  expect(guest.say(XS_WRITE, 'data/a\0in', id)).toBe('OK|');
  expect(guest.say(XS_READ, 'data/a\0', id)).toBe('in');
  expect(guest.say(XS_READ, 'data/a\0')).toBe('ENOENT|');
  expect(guest.say(XS_DIRECTORY, 'data\0', id)).toBe('a|');
  guest.say(XS_WATCH, 'data\0w\0');
  guest.watched();
  expect(guest.say(END, 'T\0', id)).toBe('OK|');
  expect(guest.watched()).toEqual(['data/a|w|']);
  expect(guest.say(XS_READ, 'data/a\0')).toBe('in');
  expect(guest.say(END, 'T\0', id)).toBe('ENOENT|');

  const second = Number.parseInt(guest.say(START, '\0'));
  guest.say(XS_RM, 'data/a\0', second);
  expect(guest.say(XS_DIRECTORY, 'data\0', second)).toBe('');
  guest.say(XS_WRITE, 'data/b\0out');
  expect(guest.say(END, 'T\0', second)).toBe('EAGAIN|');
  expect(guest.say(XS_READ, 'data/a\0')).toBe('in');

  const third = Number.parseInt(guest.say(START, '\0'));
  guest.say(XS_RM, 'data/a\0', third);
  expect(guest.say(END, 'F\0', third)).toBe('OK|');
  expect(guest.say(XS_READ, 'data/a\0')).toBe('in');
});

test('messages that are longer than the ring are taken and given in parts', () => {
  const guest = new ParaFixture();
  const long = 'x'.repeat(2000);
  expect(guest.say(XS_WRITE, `data/long\0${long}`)).toBe('OK|');
  expect(guest.say(XS_READ, 'data/long\0')).toBe(long);
  for (let i = 0; i < 60; i++) guest.say(XS_WRITE, `data/${'n'.repeat(60)}${i}\0`);
  expect(guest.say(XS_DIRECTORY, 'data\0').split('|')).toHaveLength(62);
});

test('what a guest may have is bounded', () => {
  const guest = new ParaFixture();
  expect(guest.say(XS_WRITE, `data/long\0${'x'.repeat(2049)}`)).toBe('ENOSPC|');
  let answer = 'OK|';
  for (let i = 0; answer === 'OK|' && i < 2000; i++) answer = guest.say(XS_WRITE, `data/${i}\0${'x'.repeat(2000)}`);
  expect(answer).toBe('ENOSPC|');
  answer = 'OK|';
  for (let i = 0; answer === 'OK|' && i < 2000; i++) answer = guest.say(XS_WATCH, `data\0${i}\0`);
  expect(answer).toBe('ENOSPC|');
  answer = '1|';
  for (let i = 0; /^\d/.test(answer) && i < 2000; i++) answer = guest.say(START, '\0');
  expect(answer).toBe('ENOSPC|');
});

test('a store that is as full as a guest can make it has its place', () => {
  const guest = new ParaFixture();
  const value = '\x01\xff"\\'.repeat(500);
  const fill = (where: string, transaction: number): number => {
    let i = 0;
    while (i < 200 && guest.say(XS_WRITE, `data/${where}${i}\0${value}`, transaction) === 'OK|') i++;
    return i;
  };
  for (let i = 0; i < 12; i++) guest.say(XS_WATCH, `data/${'p'.repeat(2900)}\0${i}\0`);
  expect(fill('n', 0)).toBeGreaterThan(40);
  guest.say(XS_RM, 'data/n0\0');
  let inTransactions = 0;
  for (let i = 0; i < 10; i++) inTransactions += fill(`t${i}`, Number.parseInt(guest.say(START, '\0')));
  expect(inTransactions).toBeGreaterThan(0);
  const id = Number.parseInt(guest.say(START, '\0'));
  for (let i = 0; i < 20; i++) guest.say(XS_WRITE, `data/n1\0${i}`, id || 1);
  // Every byte is what it was, also for another thread.
  expect(guest.another().say(XS_READ, 'data/n2\0')).toBe(value);
});

test.each([
  ['a path with a character that none has', XS_READ, 'da ta\0'],
  ['a path that ends with a slash', XS_READ, 'data/\0'],
  ['a path of nothing', XS_READ, '\0'],
  ['a value without a path', XS_WRITE, 'data'],
  ['permissions that are none', XS_SET_PERMS, 'data\0x1\0'],
  ['a watch without a token', XS_WATCH, 'data'],
  ['a transaction’s end that is neither', END, 'X\0'],
])('%s is refused', (_what, type, payload) => {
  const guest = new ParaFixture();
  const id = type === END ? Number.parseInt(guest.say(START, '\0')) : 0;
  expect(guest.say(type, payload, id)).toBe('EINVAL|');
});

test('a request of no type that there is, or in a transaction that there is not, is refused', () => {
  const guest = new ParaFixture();
  expect(guest.say(99, '')).toBe('ENOSYS|');
  expect(guest.say(XS_READ, 'name\0', 77)).toBe('ENOENT|');
});

test('who breaks the protocol is not listened to, and is told why', () => {
  const guest = new ParaFixture();
  guest.send(`${String.fromCharCode(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0)}data`);
  expect(new Int32Array(guest.buffer, guest.bytes(0).byteOffset, 1024)[xs.XS_ERROR_FIELD >> 2]).toBe(xs.XENSTORE_ERROR_PROTO);
  const other = new ParaFixture();
  const words = new Int32Array(other.buffer, other.bytes(0).byteOffset, 1024);
  words[xs.XS_REQ_PROD >> 2] = 5000;
  other.send('');
  expect(words[xs.XS_ERROR_FIELD >> 2]).toBe(xs.XENSTORE_ERROR_RINGIDX);
});

test('any thread goes on with what is in machine memory', () => {
  const guest = new ParaFixture();
  const id = Number.parseInt(guest.say(START, '\0'));
  guest.say(XS_WRITE, 'data/a\0in', id);
  guest.say(XS_WATCH, 'data\0w\0');
  guest.watched();
  const other = guest.another();
  expect(other.say(XS_READ, 'data/a\0', id)).toBe('in');
  expect(other.say(END, 'T\0', id)).toBe('OK|');
  expect(other.watched()).toEqual(['data/a|w|']);
  // And back again.
  expect(guest.say(XS_READ, 'data/a\0')).toBe('in');
});
