/** v86.mjs PACKAGE BIOSES KERNEL INITRD COMMAND-LINE MIB: a Linux guest under v86; its serial port goes to standard output. */
import { writeSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, bioses, kernel, initrd, cmdline, mib] = process.argv.slice(2);
const { V86 } = await import(pathToFileURL(path.join(folder, 'build/libv86.mjs')).href);
const machine = new V86({
  wasm_path: path.join(folder, 'build/v86.wasm'),
  memory_size: Number(mib) << 20,
  vga_memory_size: 8 << 20,
  bios: { url: path.join(bioses, 'bios.bin') },
  vga_bios: { url: path.join(bioses, 'vgabios-stdvga.bin') },
  bzimage: { url: kernel },
  initrd: { url: initrd },
  cmdline,
  disable_speaker: true,
  autostart: true,
});
let line = '';
machine.add_listener('serial0-output-byte', (byte) => {
  line += String.fromCharCode(byte);
  if (byte !== 10) return;
  writeSync(1, line);
  if (line.startsWith('GUEST-DONE')) process.exit(0);
  line = '';
});
