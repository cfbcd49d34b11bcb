/** One process at a time looks after a state folder; its lock file says how others reach it. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { UserError } from './api.ts';
import { causeOf } from './cause.ts';
import { writeAtomically } from './library.ts';

const contactSchema = v.object({
  pid: v.pipe(v.number(), v.integer(), v.minValue(1)),
  port: v.pipe(v.number(), v.integer()),
  token: v.string(),
});

/** Who has the folder. */
export type Contact = v.InferOutput<typeof contactSchema>;

const lockFile = (folder: string): string => path.join(folder, 'host.json');

async function readContact(folder: string): Promise<Contact | undefined> {
  try {
    const parsed = v.safeParse(contactSchema, JSON.parse(await readFile(lockFile(folder), 'utf8')));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** The process that has the folder now, or undefined: none, or one that died. */
export async function holder(folder: string): Promise<Contact | undefined> {
  const contact = await readContact(folder);
  if (contact === undefined) return undefined;
  return alive(contact.pid) && (await answers(contact)) ? contact : undefined;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Process ids are used again, in containers often the same ones: only who knows the token has the folder. */
async function answers({ port, token }: Contact): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{"command":"list"}',
      signal: AbortSignal.timeout(5000),
    });
    await response.body?.cancel();
    return response.status !== 403;
  } catch (error) {
    // One that is slow is there; one that refuses the connection is not.
    return (error as Error).name === 'TimeoutError';
  }
}

/** Takes the folder; returns what gives it back. Throws a UserError if another process has it. */
export async function takeFolder(folder: string, port: number, token: string): Promise<() => Promise<void>> {
  const other = await holder(folder);
  if (other !== undefined) {
    throw new UserError(`Another Ringside (process ${other.pid}) already looks after the state folder ${folder}.`, 'state');
  }
  try {
    // Only this user may read the token.
    await writeAtomically(lockFile(folder), JSON.stringify({ pid: process.pid, port, token }), 0o600);
  } catch (error) {
    throw new UserError(`The state folder ${folder} cannot be written to: ${causeOf(error)}.`, 'state');
  }
  return async () => {
    const now = await readContact(folder);
    if (now?.token === token) await rm(lockFile(folder), { force: true });
  };
}
