/** `ringside serve`: the app without Electron. Prints one line with its address and serves until it is told to end. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { UserError } from '../../core/host/api.ts';
import { createHost } from '../../core/host/host.ts';
import { causeOf } from '../../core/host/cause.ts';
import { stateFolder } from '../../core/host/library.ts';
import { serveHeadless } from './server.ts';

const USAGE = 'ringside serve [--port N] [--pcpus N] [--policy NAME] [--state DIR]';

function count(text: string | undefined, what: string, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max) throw new UserError(`${what} is a whole number up to ${max}, not "${text}".`);
  return value;
}

export async function main(args: string[]): Promise<number> {
  let close: (() => Promise<void>) | undefined;
  try {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: 'string' },
        pcpus: { type: 'string' },
        policy: { type: 'string' },
        state: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    if (values.help === true) {
      process.stdout.write(`${USAGE}\n`);
      return 0;
    }
    const pcpus = count(values.pcpus, '--pcpus', 1024);
    if (pcpus === 0) throw new UserError('--pcpus must be at least 1.');
    const host = await createHost({ folder: stateFolder(values.state), pcpus, policy: values.policy });
    close = () => host.close();
    const here = path.dirname(fileURLToPath(import.meta.url));
    const headless = await serveHeadless({
      host,
      renderer: path.join(here, '../renderer'),
      client: path.join(here, '../headless/browser.js'),
      port: count(values.port, '--port', 65_535),
    });
    close = async () => {
      await headless.close();
      await host.close();
    };
    process.stdout.write(`Ringside is at ${headless.address}\n`);
    await new Promise<void>((resolve) => {
      process.once('SIGINT', resolve);
      process.once('SIGTERM', resolve);
      process.once('SIGHUP', resolve);
    });
    await close();
    return 0;
  } catch (error) {
    await close?.();
    const code = (error as NodeJS.ErrnoException).code;
    const message =
      error instanceof UserError
        ? error.message
        : code === 'EADDRINUSE'
          ? 'The port is in use by another program.'
          : code === undefined
            ? String(error)
            : code.startsWith('ERR_PARSE')
              ? (error as Error).message
              : causeOf(error);
    process.stderr.write(`ringside: ${message}\n`);
    return 2;
  }
}
