/** What can run the workloads: checkouts of Ringside, other emulators, this host. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { guest, missing } from '../guests/ringside.ts';

export type Bits = 64 | 32;

export interface Program {
  readonly name: string;
  /** In MiB of the guest; 0: it has none. */
  readonly memory: number;
  /** What the guest's kernel takes for its console; absent: the first serial port. */
  readonly console?: string;
  /** Percent of the work that is done under it, where all of it would take too long. */
  readonly part?: number;
  /** Workloads as `bench` takes them, and the words for the kernel's command line that say the same. */
  command(bits: Bits, bench: readonly string[], append: string): readonly [string, readonly string[]];
  /** Why it cannot run such guests here; undefined: it can. */
  lacks(bits: Bits): string | undefined;
  close?(): void;
}

const MEMORY = 256;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const installed = (command: string): boolean => spawnSync('which', [command]).status === 0;
const SEABIOS = process.env['SEABIOS_DIR'] ?? '/usr/share/seabios';

/** Names what build-guests.sh has not made. */
function guestsLack(bits: Bits): string | undefined {
  return missing(`kernel${bits}`, `initrd${bits}.gz`, `bench${bits}`)
    ? 'the guests are not there; test/guests/build-guests.sh FOLDER makes them, RINGSIDE_GUESTS=FOLDER names it'
    : undefined;
}

const kernel = (bits: Bits): readonly string[] => ['--kernel', guest(`kernel${bits}`), '--initrd', guest(`initrd${bits}.gz`)];

/** A checkout that is built. `more`: options of `ringside run`. */
export function ringside(folder: string, name: string, more: readonly string[] = []): Program {
  const para = more[more.indexOf('--technique') + 1] === 'para';
  return {
    name,
    memory: MEMORY,
    ...(para && { console: 'hvc0' }),
    lacks: (bits) => (para && bits === 32 ? 'paravirtualization has a 64-bit interface' : guestsLack(bits)),
    command: (bits, _bench, append) => [
      process.execPath,
      [path.join(folder, 'bin/ringside.mjs'), 'run', ...kernel(bits), '--append', append, '--memory', `${MEMORY}M`, ...more],
    ],
  };
}

const qemu: Program = {
  name: 'QEMU TCG',
  memory: MEMORY,
  lacks: (bits) => guestsLack(bits) ?? (installed(qemuName(bits)) ? undefined : `${qemuName(bits)} is not installed`),
  command(bits, _bench, append) {
    const fixed = `-accel tcg,thread=single -cpu qemu${bits} -m ${MEMORY} -display none -nodefaults -no-reboot -serial stdio`.split(' ');
    return [qemuName(bits), [...fixed, ...kernel(bits).map((part) => part.replace(/^--/, '-')), '-append', append]];
  },
};
const qemuName = (bits: Bits): string => (bits === 64 ? 'qemu-system-x86_64' : 'qemu-system-i386');

/** The npm package v86 (not a dependency of ours): in V86_DIR, or in a node_modules above. */
const v86Folder = (): string | undefined =>
  [process.env['V86_DIR'], path.join(ROOT, 'node_modules/v86')].find(
    (dir) => dir !== undefined && existsSync(path.join(dir, 'build/libv86.mjs')),
  );

const v86: Program = {
  name: 'v86',
  memory: MEMORY,
  lacks: (bits) =>
    bits === 64
      ? 'v86 has no 64-bit mode'
      : (guestsLack(bits) ?? (v86Folder() === undefined ? 'the npm package v86 is not there; V86_DIR names its folder' : undefined)),
  command: (_bits, _bench, append) => [
    process.execPath,
    [
      fileURLToPath(new URL('v86.mjs', import.meta.url)),
      v86Folder()!,
      SEABIOS,
      guest('kernel32'),
      guest('initrd32.gz'),
      append,
      String(MEMORY),
    ],
  ],
};

/** Starts from a CD with SYSLINUX: it cannot load a kernel by itself. Its clock is its instruction count, which the host's clock does not mind. */
function bochs(): Program {
  let folder: string | undefined;
  const needs = ['/usr/lib/ISOLINUX/isolinux.bin', '/usr/lib/syslinux/modules/bios/ldlinux.c32', `${SEABIOS}/bios.bin`];
  return {
    name: 'Bochs',
    memory: MEMORY,
    part: 10,
    lacks(bits) {
      if (bits === 64) return 'Bochs is measured with the 32-bit guest only';
      for (const command of ['bochs-bin', 'xorriso']) if (!installed(command)) return `${command} is not installed`;
      return guestsLack(bits) ?? needs.filter((file) => !existsSync(file)).map((file) => `${file} is missing`)[0];
    },
    command(_bits, _bench, append) {
      folder ??= mkdtempSync(path.join(tmpdir(), 'ringside-bochs-'));
      const [disc, iso, serial, config] = ['disc', 'guest.iso', 'serial', 'bochsrc'].map((name) => path.join(folder!, name)) as [
        string,
        string,
        string,
        string,
      ];
      rmSync(serial, { force: true });
      mkdirSync(disc, { recursive: true });
      const files = { 'isolinux.bin': needs[0]!, 'ldlinux.c32': needs[1]!, linux: guest('kernel32'), initrd: guest('initrd32.gz') };
      for (const [name, file] of Object.entries(files)) {
        rmSync(path.join(disc, name), { force: true });
        symlinkSync(file, path.join(disc, name));
      }
      writeFileSync(path.join(disc, 'isolinux.cfg'), `default guest\nlabel guest\n kernel linux\n initrd initrd\n append ${append}\n`);
      const boot = ['-b', 'isolinux.bin', '-c', 'boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'];
      execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-f', '-o', iso, ...boot, disc], { stdio: ['ignore', 'ignore', 'pipe'] });
      execFileSync('mkfifo', [serial]);
      writeFileSync(
        config,
        [
          'display_library: rfb, options="timeout=0"',
          'plugin_ctrl: serial=1, speaker=0',
          'cpu: model=p4_willamette, ips=50000000',
          'clock: sync=none',
          `megs: ${MEMORY}`,
          `romimage: file=${SEABIOS}/bios.bin`,
          `vgaromimage: file=${SEABIOS}/vgabios-isavga.bin`,
          `ata0-master: type=cdrom, path="${iso}", status=inserted`,
          'boot: cdrom',
          'log: /dev/null',
          'panic: action=fatal',
          `com1: enabled=1, mode=file, dev=${serial}`,
        ].join('\n'),
      );
      // Debian's is built with the debugger, which waits for a word.
      writeFileSync(path.join(folder, 'go'), 'continue\n');
      const run = `bochs-bin -q -f '${config}' -rc '${folder}/go' >/dev/null 2>&1 </dev/null & b=$!; trap 'kill $b' TERM; cat '${serial}'; kill $b 2>/dev/null`;
      return ['sh', ['-c', run]];
    },
    close() {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** On one CPU, as the guests have. */
const native: Program = {
  name: 'this host',
  memory: 0,
  lacks: guestsLack,
  command(bits, bench) {
    const pin = installed('taskset') ? 'taskset -c 0 ' : '';
    return ['sh', ['-c', `echo GUEST-UP; ${pin}'${guest(`bench${bits}`)}' ${bench.join(' ')}; echo GUEST-DONE`]];
  },
};

/** By the names that the command takes. */
export const PEERS: Readonly<Record<string, () => Program>> = { qemu: () => qemu, v86: () => v86, bochs, native: () => native };

/** A commit, checked out and built beside this tree: for a comparison with it. */
export function checkout(commit: string): { folder: string; close(): void } {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const parent = mkdtempSync(path.join(tmpdir(), 'ringside-bench-'));
  const folder = path.join(parent, 'tree');
  const close = (): void => {
    spawnSync('git', ['-C', ROOT, 'worktree', 'remove', '--force', folder]);
    rmSync(parent, { recursive: true, force: true });
  };
  try {
    git('worktree', 'add', '--detach', folder, commit);
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
    execFileSync(process.execPath, ['build/build.mjs', 'core', 'node'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    close();
    throw error;
  }
  return { folder, close };
}

/** This tree, built. */
export function thisTree(): string {
  execFileSync(process.execPath, ['build/build.mjs', 'core', 'node', '--if-needed'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  return ROOT;
}
