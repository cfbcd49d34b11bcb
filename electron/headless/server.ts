/**
 * The app served to a browser on this machine: the built renderer over HTTP, the contract over a WebSocket, both on the loopback
 * interface and only with the token. The token comes once in the address and is exchanged for a cookie.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Host } from '../../core/host/api.ts';
import { sameSecret } from '../../core/host/control.ts';
import { callError, dispatch, forwardEvents, handlersOf } from '../dispatch.ts';
import type { CallError } from '../ipc.ts';
import { decode, encode, type ToBrowser } from './codec.ts';

export interface HeadlessOptions {
  readonly host: Host;
  /** The built renderer. */
  readonly renderer: string;
  /** The built browser.ts. */
  readonly client: string;
  /** 0: any. */
  readonly port?: number;
  readonly token?: string;
}

export interface Headless {
  /** With the token. */
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** Frames that a browser has not taken yet, in bytes: one that stays behind further is cut off and connects anew. */
const BACKLOG_MAX = 64 << 20;
const MESSAGE_MAX = 2 << 20;

/** Serves the app. `host` stays the caller's. */
export async function serveHeadless(options: HeadlessOptions): Promise<Headless> {
  const token = options.token ?? randomBytes(24).toString('base64url');
  // Not the token itself: what a browser keeps cannot be turned into an address again.
  const cookieValue = createHash('sha256').update(`cookie ${token}`).digest('base64url');
  const root = path.resolve(options.renderer);
  const client = await readFile(options.client);
  const handlers = handlersOf(options.host, {
    chooseFile: () => {
      throw new Error('A browser cannot show this machine’s files: type the path.');
    },
    openConsole: () => 'renderer',
  });
  let port = 0;
  // Ports are part of no cookie's scope: two servers on one machine must not take each other's.
  const cookieName = (): string => `ringside-${port}`;

  const isHere = (request: IncomingMessage): boolean => {
    const { host } = request.headers;
    // Another name for this address is another site's, turned to us (DNS rebinding).
    return host === `127.0.0.1:${port}` || host === `localhost:${port}` || host === `[::1]:${port}`;
  };
  const hasCookie = (request: IncomingMessage): boolean =>
    (request.headers.cookie ?? '').split(/;\s*/).some((pair) => {
      const [name, value = ''] = pair.split('=');
      return name === cookieName() && sameSecret(value, cookieValue);
    });
  const fromOurPage = (request: IncomingMessage): boolean => {
    const { origin } = request.headers;
    return origin === `http://${request.headers.host ?? ''}`;
  };

  const policy = (host: string): string =>
    [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data: blob:",
      "font-src 'self' data:",
      `connect-src 'self' ws://${host}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; ');

  const reply = (request: IncomingMessage, response: ServerResponse, status: number, type: string, body: string | Uint8Array): void => {
    response.writeHead(status, {
      'content-type': type,
      'content-security-policy': policy(request.headers.host ?? ''),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  const refuse = (request: IncomingMessage, response: ServerResponse): void =>
    reply(request, response, 403, 'text/plain; charset=utf-8', 'Forbidden: open the address that Ringside printed, with its token.\n');

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isHere(request)) return refuse(request, response);
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
    const given = url.searchParams.get('token');
    if (given !== null) {
      if (!sameSecret(given, token)) return refuse(request, response);
      // The token leaves the address bar and the history.
      response.writeHead(303, {
        location: './',
        'set-cookie': `${cookieName()}=${cookieValue}; HttpOnly; SameSite=Strict; Path=/`,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      });
      response.end();
      return undefined;
    }
    if (!hasCookie(request)) return refuse(request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') return reply(request, response, 405, 'text/plain', 'GET only\n');
    let name: string;
    try {
      name = decodeURIComponent(url.pathname);
    } catch {
      return reply(request, response, 400, 'text/plain', 'Bad request\n');
    }
    if (name === '/ringside-client.js') return reply(request, response, 200, TYPES['.js']!, client);
    if (name === '/') name = '/index.html';
    const file = path.join(root, path.normalize(name));
    if (!file.startsWith(root + path.sep) || name.includes('\0')) return reply(request, response, 404, 'text/plain', 'Not found\n');
    let body: Uint8Array;
    try {
      body = await readFile(file);
    } catch {
      return reply(request, response, 404, 'text/plain', 'Not found\n');
    }
    if (name === '/index.html') {
      const html = Buffer.from(body)
        .toString('utf8')
        .replace(/<head([^>]*)>/i, '<head$1>\n    <script src="./ringside-client.js"></script>');
      return reply(request, response, 200, TYPES['.html']!, html);
    }
    return reply(request, response, 200, TYPES[path.extname(file)] ?? 'application/octet-stream', body);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => {
      if (!response.headersSent) reply(request, response, 500, 'text/plain', 'Internal error\n');
      else response.destroy();
    });
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_MAX });
  server.on('upgrade', (request, socket, head) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname !== '/socket' || !isHere(request) || !fromOurPage(request) || !hasCookie(request)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (opened) => talk(opened));
  });

  const talk = (socket: WebSocket): void => {
    const send = (message: ToBrowser): void => {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > BACKLOG_MAX) return socket.terminate();
      socket.send(encode(message));
    };
    const stop = forwardEvents(options.host, (event, payload) => send({ type: 'event', event, payload }));
    socket.on('close', stop);
    socket.on('error', () => socket.terminate());
    socket.on('message', (data: RawData, binary: boolean) => {
      let message: { type?: unknown; id?: unknown; name?: unknown; args?: unknown };
      try {
        if (!binary) throw new TypeError('a text frame');
        message = decode(new Uint8Array(data as Buffer)) as typeof message;
      } catch {
        return socket.close(1007);
      }
      if (message?.type !== 'call' || typeof message.id !== 'number') return socket.close(1007);
      const { id } = message;
      dispatch(handlers, message.name, message.args).then(
        (value) => send({ type: 'result', id, value }),
        (error: unknown) => send({ type: 'error', id, error: isCallError(error) ? error : callError(error) }),
      );
      return undefined;
    });
  };

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  port = (server.address() as AddressInfo).port;
  return {
    address: `http://127.0.0.1:${port}/?token=${token}`,
    port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const isCallError = (error: unknown): error is CallError =>
  typeof error === 'object' && error !== null && !(error instanceof Error) && typeof (error as CallError).message === 'string';
