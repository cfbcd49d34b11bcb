import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as rawRequest } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { RingsideApi } from '../ipc.ts';
import { FakeHost } from '../testing/fake-host.ts';
import { connect, type Socket } from './client.ts';
import { decode, encode } from './codec.ts';
import { serveHeadless, type Headless } from './server.ts';

let folder: string;
let host: FakeHost;
let headless: Headless;
const base = (): string => `http://127.0.0.1:${headless.port}`;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-headless-'));
  mkdirSync(path.join(folder, 'renderer'));
  writeFileSync(path.join(folder, 'renderer/index.html'), '<!doctype html><head><title>x</title></head>');
  writeFileSync(path.join(folder, 'renderer/a.js'), 'a');
  writeFileSync(path.join(folder, 'client.js'), 'client');
  writeFileSync(path.join(folder, 'secret'), 'secret');
  host = new FakeHost();
  headless = await serveHeadless({ host, renderer: path.join(folder, 'renderer'), client: path.join(folder, 'client.js') });
});
afterEach(async () => {
  const closing = headless;
  headless = undefined as never;
  await closing.close();
  rmSync(folder, { recursive: true, force: true });
});

async function cookie(): Promise<string> {
  const response = await fetch(headless.address, { redirect: 'manual' });
  expect(response.status).toBe(303);
  expect(response.headers.get('location')).toBe('./');
  const set = response.headers.get('set-cookie')!;
  expect(set).toMatch(/HttpOnly; SameSite=Strict/);
  expect(set).not.toContain(new URL(headless.address).searchParams.get('token'));
  return set.split(';')[0]!;
}

/** A request whose Host header is as given: fetch would put its own. */
const withHost = (name: string, headers: Record<string, string>): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    rawRequest({ host: '127.0.0.1', port: headless.port, path: '/', headers: { ...headers, host: name } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });

describe('pages', () => {
  test('nothing without the token: pages, assets and the socket are forbidden', async () => {
    for (const place of ['/', '/a.js', '/ringside-client.js', '/?token=wrong', '/nothing']) {
      expect((await fetch(base() + place)).status, place).toBe(403);
    }
    expect(await socketStatus({})).toBe(403);
  });

  test('the token becomes a cookie, and with it the page comes with its policy and the client before its own scripts', async () => {
    const headers = { cookie: await cookie() };
    const page = await fetch(base(), { headers });
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<head>\n    <script src="./ringside-client.js"></script><title>');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toMatch(/default-src 'none'/);
    expect(policy).not.toMatch(/unsafe/);
    expect(await (await fetch(`${base()}/a.js`, { headers })).text()).toBe('a');
    expect(await (await fetch(`${base()}/ringside-client.js`, { headers })).text()).toBe('client');
    expect((await fetch(`${base()}/nothing`, { headers })).status).toBe(404);
    expect((await fetch(base(), { headers, method: 'POST' })).status).toBe(405);
  });

  test('no path leads out of the renderer’s folder', async () => {
    const headers = { cookie: await cookie() };
    for (const place of ['/../secret', '/..%2fsecret', '/%2e%2e/secret', '/a.js/../../secret', '/%00', '/%ff']) {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        rawRequest({ host: '127.0.0.1', port: headless.port, path: place, headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
      expect([400, 404], place).toContain(status);
    }
  });

  test('another name for this address is refused, cookie or not', async () => {
    const headers = { cookie: await cookie() };
    expect(await withHost('evil.example', headers)).toBe(403);
    expect(await withHost(`127.0.0.1:${headless.port}`, headers)).toBe(200);
  });
});

/** 101, or the status with which the server refused. */
function socketStatus(headers: Record<string, string>): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${headless.port}/socket`, { headers });
    socket.on('open', () => (socket.close(), resolve(101)));
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode!));
    socket.on('error', () => {});
  });
}

async function client(): Promise<{ api: RingsideApi; drop(): void }> {
  const headers = { cookie: await cookie(), origin: base() };
  const server = headless;
  let socket: WebSocket | undefined;
  const api = connect(
    () => {
      socket = new WebSocket(`ws://127.0.0.1:${server.port}/socket`, { headers });
      socket.on('error', () => {});
      return socket as unknown as Socket;
    },
    // Not beyond the test.
    (work) => setTimeout(() => server === headless && work(), 20),
  );
  return { api, drop: () => socket?.terminate() };
}

describe('socket', () => {
  test('only our own page may open it', async () => {
    const mine = await cookie();
    expect(await socketStatus({ cookie: mine, origin: base() })).toBe(101);
    expect(await socketStatus({ cookie: mine, origin: 'http://evil.example' })).toBe(403);
    expect(await socketStatus({ cookie: mine })).toBe(403);
    expect(await socketStatus({ origin: base() })).toBe(403);
  });

  test('calls are answered, with bytes as bytes; mistakes come as message and field', async () => {
    const { api } = await client();
    expect((await api.call('list')).vms).toEqual([host.summary]);
    await api.call('write', { id: 'a', port: 0, data: Uint8Array.of(0, 255, 10) });
    expect(host.written).toEqual([0, 255, 10]);
    expect((await api.call('scrollback', { id: 'a', port: 0 })).data).toEqual(Uint8Array.of(1, 2, 3));
    await expect(api.call('start', { id: 'a' })).rejects.toEqual({ message: 'It is running already.', field: undefined });
    const draft = { name: '', source: { kind: 'builtin' as const }, memory: 64, vcpus: 1, disks: [], serials: 1 };
    await expect(api.call('create', { draft })).rejects.toEqual({ message: 'Give the VM a name.', field: 'name' });
    await expect(api.call('chooseFile', { purpose: 'kernel' })).rejects.toMatchObject({ message: expect.stringMatching(/type the path/) });
    await expect(api.call('chooseFile', { purpose: 'kernel', path: '/no/kernel' })).rejects.toMatchObject({
      message: expect.stringMatching(/does not exist/),
    });
    expect(await api.call('openConsole', { id: 'a', port: 0 })).toBe('renderer');
    await expect(api.call('format' as 'list')).rejects.toEqual({ message: 'There is no such call.' });
    await expect(api.call('start', { id: '../x' })).rejects.toMatchObject({ field: 'id' });
  });

  test('events arrive; after a lost connection it connects again and says so', async () => {
    const { api, drop } = await client();
    const seen: unknown[] = [];
    api.on('console', (event) => seen.push(event));
    const off = api.on('log', (event) => seen.push(event));
    api.on('connection', ({ connected }) => seen.push(connected));
    await api.call('list');
    host.emit('console', 'a', 0, Uint8Array.of(104, 105), 2);
    host.emit('log', 'a', 'a line');
    await expect.poll(() => seen.length).toBe(2);
    expect(seen).toEqual([
      { id: 'a', port: 0, data: Uint8Array.of(104, 105), end: 2 },
      { id: 'a', line: 'a line' },
    ]);
    off();
    drop();
    await expect.poll(() => seen.slice(2)).toEqual([false, true]);
    host.emit('log', 'a', 'not heard');
    host.emit('console', 'a', 1, Uint8Array.of(1), 1);
    await expect.poll(() => seen.length).toBe(5);
    expect((await api.call('list')).vms).toHaveLength(1);
  });

  test('a message that is none closes the connection and harms nothing', async () => {
    const headers = { cookie: await cookie(), origin: base() };
    for (const data of ['text', new Uint8Array(2), encode({ type: 'call' } as never), Uint8Array.of(255, 255, 255, 255, 0)]) {
      const code = await new Promise((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${headless.port}/socket`, { headers });
        socket.on('open', () => socket.send(data));
        socket.on('close', resolve);
      });
      expect(code).toBe(1007);
    }
    expect((await (await client()).api.call('list')).vms).toHaveLength(1);
  });
});

test('what is encoded is decoded to the same, wherever the bytes are', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.uint8Array(), fc.string(), fc.integer(), fc.constant(null)), { maxLength: 6 }), (values) => {
      const message = { type: 'result', id: 1, value: { values, nested: { values } } } as const;
      expect(decode(encode(message))).toEqual(message);
    }),
  );
});
