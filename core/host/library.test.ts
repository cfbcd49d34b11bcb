import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UserError, type VmDraft } from './api.ts';
import { checkDraft, checkMachine } from './check.ts';
import { Library, stateFolder, writeAtomically } from './library.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'ringside-library-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const draft: VmDraft = { name: 'My VM', source: { kind: 'builtin' }, memory: 64, vcpus: 1, disks: [], serials: 1 };
const vms = (): string[] => readdirSync(path.join(folder, 'vms')).sort();

describe('library', () => {
  test('what is added is there again after it is opened anew', async () => {
    const library = await Library.open(folder);
    const made = await library.add(draft);
    expect(made).toMatchObject({ ...draft, id: 'my-vm' });
    expect((await library.add(draft)).id).toBe('my-vm-2');
    expect((await library.add({ ...draft, name: '虚拟机' })).id).toBe('vm');
    expect((await Library.open(folder)).list()).toEqual(library.list());
    await library.remove('my-vm');
    expect(vms()).toEqual(['my-vm-2.json', 'vm.json']);
    await expect(library.remove('my-vm')).rejects.toThrow('There is no VM "my-vm".');
  });

  test('damaged files are listed, the others load, and nothing is written over them', async () => {
    const library = await Library.open(folder);
    const good = await library.add(draft);
    const bad: Record<string, string> = {
      'half.json': '{"id": "half", "na',
      'empty.json': '',
      'list.json': '[]',
      'other.json': JSON.stringify(good),
      'wrong.json': JSON.stringify({ ...good, id: 'wrong', memory: 'lots' }),
      // The name that the next one would like to have.
      'my-vm-2.json': 'not JSON either',
    };
    for (const [name, text] of Object.entries(bad)) writeFileSync(path.join(folder, 'vms', name), text);
    mkdirSync(path.join(folder, 'vms', 'folder.json'));
    const again = await Library.open(folder);
    expect(again.list()).toEqual([good]);
    expect(again.damaged.map(({ file }) => path.basename(file))).toEqual([...Object.keys(bad), 'folder.json'].sort());
    for (const { reason } of again.damaged) expect(reason).toMatch(/\S/);
    expect((await again.add(draft)).id).toBe('my-vm-3');
    for (const [name, text] of Object.entries(bad)) expect(readFileSync(path.join(folder, 'vms', name), 'utf8')).toBe(text);
  });

  test('keys of a later version survive a change', async () => {
    const library = await Library.open(folder);
    const { id } = await library.add(draft);
    const file = path.join(folder, 'vms', `${id}.json`);
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), hologram: { depth: 3 } }));
    const again = await Library.open(folder);
    const changed = await again.replace(id, { ...draft, name: 'Renamed' });
    expect(changed.name).toBe('Renamed');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ name: 'Renamed', hologram: { depth: 3 } });
    expect(changed).not.toHaveProperty('hologram');
  });

  test('a folder that cannot be made is one sentence', async () => {
    writeFileSync(path.join(folder, 'file'), '');
    await expect(Library.open(path.join(folder, 'file', 'state'))).rejects.toThrow(/^The state folder .* cannot be written to: .*\.$/);
  });

  test.runIf(process.platform === 'linux')('where nothing can be made, it says so rather than trying for ever', async () => {
    await expect(Library.open('/proc/ringside')).rejects.toThrow(/^The state folder \/proc\/ringside cannot be written to: .*\.$/);
  });

  test('writing leaves no temporary file, whether it works or not', async () => {
    await writeAtomically(path.join(folder, 'a'), 'text');
    mkdirSync(path.join(folder, 'b'));
    await expect(writeAtomically(path.join(folder, 'b'), 'text')).rejects.toThrow();
    expect(readdirSync(folder).sort()).toEqual(['a', 'b']);
  });

  test('the state folder is the one named, or the system’s', () => {
    expect(stateFolder('/x', {})).toBe('/x');
    expect(stateFolder(undefined, { RINGSIDE_STATE: '/y' })).toBe('/y');
    expect(stateFolder(undefined, { XDG_STATE_HOME: '/z' }, 'linux')).toBe('/z/ringside');
    expect(stateFolder(undefined, { XDG_STATE_HOME: 'relative' }, 'linux')).toMatch(/\.local\/state\/ringside$/);
  });
});

describe('checkDraft', () => {
  const limits = { memoryMax: 2048, vcpusMax: 1 };
  const kernel = (): string => path.join(folder, 'kernel');
  const elf = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0);
  const from = (source: Partial<Extract<VmDraft['source'], { kind: 'kernel' }>>) => ({
    ...draft,
    source: { kind: 'kernel', kernel: kernel(), ...source },
  });

  test('a good one passes', async () => {
    writeFileSync(kernel(), elf);
    expect(await checkDraft({ ...draft, name: ' My VM ' }, limits)).toMatchObject({ name: 'My VM' });
    await checkDraft(from({}), limits);
  });

  const mistakes: [string, () => unknown, string | undefined, RegExp][] = [
    ['no name', () => ({ ...draft, name: '  ' }), 'name', /name/],
    ['a name with a line break', () => ({ ...draft, name: 'a\nb' }), 'name', /control/],
    ['memory 0', () => ({ ...draft, memory: 0 }), 'memory', /at least 1 MiB/],
    ['memory 1.5', () => ({ ...draft, memory: 1.5 }), 'memory', /whole number/],
    ['too much memory for any VM', () => ({ ...draft, memory: 99_999 }), 'memory', /at most 3584/],
    ['too much memory for this host', () => ({ ...draft, memory: 3000 }), 'memory', /at most 2048 MiB of memory on this host/],
    ['0 vCPUs', () => ({ ...draft, vcpus: 0 }), 'vcpus', /at least one/],
    ['2 vCPUs', () => ({ ...draft, vcpus: 2 }), 'vcpus', /one vCPU for now, not 2/],
    ['an unknown CPU model', () => ({ ...draft, cpu: 'z80' }), 'cpu', /z80/],
    ['an unknown flag', () => ({ ...draft, cpu: 'default,+warp' }), 'cpu', /warp/],
    ['an engine that is not there', () => ({ ...draft, engine: 'kvm' }), 'engine', /not there yet/],
    ['a technique that is not there', () => ({ ...draft, technique: 'hardware' }), 'technique', /not there yet/],
    ['para with two serial ports', () => ({ ...draft, technique: 'para', serials: 2 }), 'serials', /one console/],
    ['para without 64-bit mode', () => ({ ...draft, technique: 'para', cpu: 'default,-lm' }), 'cpu', /64-bit/],
    ['para with modules', () => ({ ...from({ modules: ['/x'] }), technique: 'para' }), 'source.modules', /no modules/],
    [
      'para from a disk',
      () => ({ ...draft, technique: 'para', source: { kind: 'disk' }, disks: [{ path: '/x' }] }),
      'technique',
      /starts from a kernel/,
    ],
    [
      'switches of a technique that is not chosen',
      () => ({ ...draft, full: { translateSensitive: true, adaptive: false } }),
      'full',
      /go with the technique "full"/,
    ],
    [
      'switches of paravirtualization with another technique',
      () => ({ ...draft, technique: 'full', para: { batching: true, asynchrony: false } }),
      'para',
      /go with the technique "para"/,
    ],
    [
      'a switch of paravirtualization that is neither on nor off',
      () => ({ ...draft, technique: 'para', para: { batching: true } }),
      'para.asynchrony',
      /./,
    ],
    [
      'a switch that is neither on nor off',
      () => ({ ...draft, technique: 'full', full: { translateSensitive: 1, adaptive: true } }),
      'full.translateSensitive',
      /on or off/,
    ],
    ['no serial port', () => ({ ...draft, serials: 0 }), 'serials', /at least one/],
    ['5 serial ports', () => ({ ...draft, serials: 5 }), 'serials', /at most 4/],
    ['a setting that does not exist', () => ({ ...draft, warp: 9 }), 'warp', /no setting "warp"/],
    ['no source', () => ({ ...draft, source: { kind: 'tape' } }), 'source.kind', /starts from/],
    ['a disk source without a disk', () => ({ ...draft, source: { kind: 'disk' } }), 'disks', /needs a disk/],
    ['an empty kernel path', () => from({ kernel: '' }), 'source.kernel', /Give the path/],
    ['a kernel that is not there', () => from({ kernel: '/no/kernel' }), 'source.kernel', /\/no\/kernel does not exist/],
    ['a folder as kernel', () => from({ kernel: folder }), 'source.kernel', /folder/],
    ['an empty kernel', () => (writeFileSync(kernel(), ''), from({})), 'source.kernel', /is empty/],
    ['not a kernel', () => (writeFileSync(kernel(), 'hello '.repeat(2000)), from({})), 'source.kernel', /not a kernel/],
    [
      'an initrd that is not there',
      () => (writeFileSync(kernel(), elf), from({ initrd: '/no/initrd' })),
      'source.initrd',
      /does not exist/,
    ],
    [
      'an initrd larger than memory',
      () => (
        writeFileSync(kernel(), elf),
        writeFileSync(path.join(folder, 'i'), Buffer.alloc(3 << 20)),
        { ...from({ initrd: path.join(folder, 'i') }), memory: 2 }
      ),
      'source.initrd',
      /larger than the VM’s memory of 2 MiB/,
    ],
    ['a disk that is not there', () => ({ ...draft, disks: [{ path: '/no/disk' }] }), 'disks.0.path', /does not exist/],
    ['nothing at all', () => null, undefined, /./],
  ];
  test('a paravirtualized VM has less memory at most', () => {
    const large = { ...draft, technique: 'para', memory: 3001 } as const;
    expect(() => checkMachine(large, { memoryMax: 3584, vcpusMax: 1 })).toThrow(/at most 3000 MiB of memory, not 3001/);
    checkMachine({ ...large, memory: 3000 }, { memoryMax: 3584, vcpusMax: 1 });
  });

  test.each(mistakes)('%s', async (_name, value, field, words) => {
    const error: unknown = await checkDraft(value(), limits).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ field });
    expect((error as UserError).message).toMatch(words);
    expect((error as UserError).message).toMatch(/^[A-Z"“/].*\.$/s);
  });
});
