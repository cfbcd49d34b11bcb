/**
 * A pCPU whose guests are scripts, for the tests of the pool: the command line says what the guest does. RAM is a handful of words.
 *   spin          runs for ever            halt          sleeps, a timer every 20 ms      sleep    sleeps for ever
 *   throw         a device throws          triple        triple fault                    off      powers off
 *   hang          a device never returns   oom           takes the thread's heap         echo     prints its input
 *   bad           cannot be loaded         broken        loading has a bug
 */
import { UserError } from '../api.ts';
import { milliseconds } from '../clock.ts';
import { serve } from '../pcpu.ts';
import { FakeWindow, INSTRUCTIONS } from './memory.ts';
import type { GuestMachine } from '../executor.ts';

const nothing = (): number => 0;

serve({
  machine({ spec, memory, hooks, epoch }): GuestMachine {
    const what = spec.source.kind === 'disk' ? '' : (spec.source.append ?? '');
    const window = new FakeWindow(memory);
    let due = 0;
    return {
      bus: {
        readPort(): number {
          if (what === 'throw') throw new TypeError('the device is broken');
          if (what === 'hang') for (;;) Atomics.load(window.words, 0);
          if (what === 'oom') for (const hoard: unknown[] = []; ;) hoard.push(Array.from({ length: 1000 }, (_, i) => ({ i })));
          if (what === 'off') hooks.ended({ kind: 'power-off' });
          return 0;
        },
        writePort: nothing,
        readMmio: nothing,
        writeMmio: nothing,
        acknowledgeInterrupt: nothing,
        tsc: nothing,
        taskPriority: nothing,
        readTaskPriority: nothing,
        apicMsr: nothing,
        note: (_cpu, text) => hooks.note(text),
      },
      advance(now) {
        if (what === 'halt' && now >= due) due = now + 20e6;
        if (window.echo()) hooks.output();
      },
      nextDeadline: () => (what === 'halt' ? due : Infinity),
      runUntil: (most) => (what === 'halt' ? Math.min(due, most) : most),
      pressPowerButton: () => hooks.ended({ kind: 'power-off' }),
      close() {
        void epoch;
      },
    };
  },
  engine({ spec, memory }, _machine, bus) {
    const what = spec.source.kind === 'disk' ? '' : (spec.source.append ?? '');
    const { words } = new FakeWindow(memory);
    return {
      run(_cpu, budget) {
        if (what === 'triple') return { reason: 'shutdown' };
        if (what === 'halt' || what === 'sleep' || what === 'echo') {
          Atomics.add(words, INSTRUCTIONS, 10);
          return { reason: 'halt' };
        }
        bus.readPort(0, 0x80, 1);
        const end = milliseconds() + budget / 20_000;
        while (milliseconds() < end) Atomics.add(words, INSTRUCTIONS, 1);
        return { reason: 'budget' };
      },
      instructions: () => Atomics.load(words, INSTRUCTIONS),
      userInstructions: () => Math.floor(Atomics.load(words, INSTRUCTIONS) / 4),
      undefinedOpcodes: () => new Map(),
    };
  },
  boot({ spec }) {
    const what = spec.source.kind === 'disk' ? '' : spec.source.append;
    if (what === 'bad') throw new UserError('It is not a kernel.', 'source.kernel');
    if (what === 'broken') throw new TypeError('undefined is not a function');
  },
});
