/** Debian's kernel with a block device of the PV interface: what it writes is there after a new start, and disks come and go while it runs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND, guest, missing, ringside } from './ringside.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), 'ringside-para-disk-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An empty image. */
function empty(name: string, mib: number): string {
  const file = path.join(folder, name);
  const handle = openSync(file, 'w');
  ftruncateSync(handle, mib << 20);
  closeSync(handle);
  return file;
}

const machine = (kernel: string, append: string): string[] => {
  const options = `--technique para --kernel ${guest(kernel)} --initrd ${guest('initrd64disk.gz')} --memory 256M`;
  return [...options.split(' '), '--append', `console=hvc0 quiet panic=-1 ${append}`];
};

describe.each(['kernel64', 'kernel64general'])('%s', (kernel) => {
  const lacks = missing(kernel, 'initrd64disk.gz');

  it.skipIf(lacks).each(['on', 'off'])('writes 100 MB, starts again, and finds them, with asynchrony %s', async (asynchrony) => {
    const disk = empty(`${kernel}-${asynchrony}.img`, 160);
    const args = ['run', ...machine(kernel, ''), '--asynchrony', asynchrony, '--disk', disk];
    const { status, stdout, stderr } = await ringside(args, { limit: 590 });
    expect(stdout, stderr).toMatch(/DISK-WRITTEN[^]*GUEST-UP[^]*data: OK\s+SUM-RIGHT\s+GUEST-DONE/);
    expect(status, stderr).toBe(0);
  });
});

describe('while the guest runs', () => {
  let child: ChildProcess | undefined;
  afterEach(() => void child?.kill('SIGKILL'));

  it.skipIf(missing('kernel64', 'initrd64disk.gz'))('a disk is given to it and taken away, by command', async () => {
    const state = ['--state', path.join(folder, 'state')];
    const second = path.join(folder, 'second.img');
    const data = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 31 + (i >> 12)) & 0xff));
    writeFileSync(second, data);
    const create = ['create', 'pv', ...machine('kernel64', 'files=0 plug=1'), '--disk', empty('first.img', 16), ...state];
    const created = await ringside(create);
    expect(created.status, created.stderr).toBe(0);

    let output = '';
    child = spawn(process.execPath, [COMMAND, 'start', 'pv', ...state], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout!.setEncoding('latin1').on('data', (text: string) => (output += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
    const says = (text: string | RegExp): Promise<void> => expect.poll(() => output, { timeout: 200_000, interval: 200 }).toMatch(text);
    await says('PLUG-READY');
    const attached = await ringside(['attach', 'pv', second, '--readonly', ...state]);
    expect(attached, output).toEqual({ status: 0, stdout: 'xvdb\n', stderr: '' });
    await says(new RegExp(`PLUG-SUM ${createHash('md5').update(data).digest('hex')}  - 1`));
    const detached = await ringside(['detach', 'pv', 'xvdb', ...state]);
    expect(detached, output).toEqual({ status: 0, stdout: '', stderr: '' });
    await says('PLUG-GONE');
    await says('GUEST-DONE');
  });
});
