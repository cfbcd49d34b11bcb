/** How the command reaches a running host: JSON over HTTP on the loopback interface, with the token of the lock file. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as v from 'valibot';
import { UserError, type Host, type VmSummary } from './api.ts';
import { parse } from './definition.ts';
import { takeFolder, type Contact } from './lock.ts';

const requestSchema = v.variant('command', [
  v.strictObject({ command: v.literal('list') }),
  v.strictObject({ command: v.literal('create'), draft: v.unknown() }),
  v.strictObject({ command: v.picklist(['start', 'stop', 'forceOff', 'delete']), id: v.string() }),
  v.strictObject({ command: v.literal('attach'), id: v.string(), path: v.string(), readonly: v.optional(v.boolean()) }),
  v.strictObject({ command: v.literal('detach'), id: v.string(), disk: v.string() }),
]);

export type ControlRequest = v.InferOutput<typeof requestSchema>;
export type ControlReply = {
  readonly vms?: readonly VmSummary[];
  readonly damaged?: readonly { file: string; reason: string }[];
  readonly vm?: VmSummary;
  /** The name of a disk in the guest. */
  readonly disk?: string;
};

const BODY_MAX = 1 << 20;

/** Does what a request asks. */
export async function control(host: Host, request: unknown): Promise<ControlReply> {
  const asked = parse(requestSchema, request);
  switch (asked.command) {
    case 'list': {
      const { vms, damaged } = host.list();
      return { vms, damaged };
    }
    case 'create':
      return { vm: await host.create(asked.draft as Parameters<Host['create']>[0]) };
    case 'start':
      await host.start(asked.id);
      return {};
    case 'stop':
      await host.shutdown(asked.id);
      return {};
    case 'forceOff':
      await host.forceOff(asked.id);
      return {};
    case 'attach':
      return { disk: await host.attachDisk(asked.id, { path: asked.path, readonly: asked.readonly }) };
    case 'detach':
      await host.detachDisk(asked.id, asked.disk);
      return {};
    case 'delete':
      await host.delete(asked.id);
      return {};
  }
}

/** Compares secrets in constant time. */
export function sameSecret(given: string, secret: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(secret);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Listens for the command and takes the state folder. Returns what ends both. */
export async function listenForCommands(host: Host, folder: string): Promise<() => Promise<void>> {
  const token = randomBytes(32).toString('base64url');
  const server = createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify(body));
    };
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (given === undefined || !sameSecret(given, token)) return answer(403, { message: 'forbidden' });
    if (request.method !== 'POST') return answer(405, { message: 'POST only' });
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > BODY_MAX) request.destroy();
    });
    request.on('end', () => {
      Promise.resolve()
        .then(() => control(host, JSON.parse(text)))
        .then((reply) => answer(200, reply))
        .catch((error: unknown) => {
          const field = error instanceof UserError ? error.field : undefined;
          answer(error instanceof UserError ? 400 : 500, { message: error instanceof Error ? error.message : String(error), field });
        });
    });
    return undefined;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  try {
    const release = await takeFolder(folder, (server.address() as AddressInfo).port, token);
    return async () => {
      await release();
      await stop();
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Asks a running host. Throws what it answers as a UserError. */
export async function ask(contact: Contact, request: ControlRequest): Promise<ControlReply> {
  let response: Response;
  try {
    response = await fetch(`http://127.0.0.1:${contact.port}/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${contact.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
  } catch (error) {
    throw new UserError(
      `The running Ringside (process ${contact.pid}) does not answer: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
  const reply = (await response.json()) as ControlReply & { message?: string; field?: string };
  if (!response.ok) throw new UserError(reply.message ?? `The running Ringside answered with status ${response.status}.`, reply.field);
  return reply;
}
