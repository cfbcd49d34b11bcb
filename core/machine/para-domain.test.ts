import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EVENT_KICK,
  EVENT_NMI,
  HYPERVISOR_VIRT_START,
  MACH2PHYS_VIRT_ALIAS,
  PAGE,
  PARA_CONSOLE_PORT,
  PARA_GUEST,
  PARA_SHARED_INFO,
} from '../state/index.ts';
import { BACKEND_BLOCK, VIRQ_TIMER } from '../vmm/para/events.ts';
import { PREEMPTED } from '../vmm/para/memory.ts';
import { postEvent } from '../vmm/para/post.ts';
import { HYPERCALL_ROWS } from '../vmm/para/rows.ts';
import { SHARED_INFO, VCPU_INFO } from '../vmm/para/shared.ts';
import { ARGUMENTS, CONSOLE_FRAME, DomainFixture } from './para-domain-fixture.ts';

const [EPERM, ENOENT, ESRCH, ENOMEM, EFAULT, EEXIST, EINVAL, ENOSYS, ETIME] = [-1, -2, -3, -12, -14, -17, -22, -38, -62];
const SELF = 0x7ff0;
const AT = ARGUMENTS * PAGE;
/** Where nothing is mapped. */
const NOWHERE = 0xffff_c000_0000_0000n;

describe('event channels', () => {
  const bind = (guest: DomainFixture, virq: number): number => {
    expect(guest.operate('event_channel_op', 1, [virq, 0, 0])).toBe(0);
    return guest.u32(8);
  };

  test('a port has one VIRQ, is found pending, and is free again when it was closed', () => {
    const guest = new DomainFixture();
    const port = bind(guest, VIRQ_TIMER);
    expect(guest.operate('event_channel_op', 1, [VIRQ_TIMER, 0, 0])).toBe(EEXIST);
    guest.domain.events.sendVirq(VIRQ_TIMER);
    expect([...guest.info.subarray(0, 2)]).toEqual([1, 1]);
    expect(guest.u64(VCPU_INFO.pendingSel, guest.vcpu.info)).toBe(1n);
    expect(guest.take()).toEqual([port]);
    expect(guest.operate('event_channel_op', 3, [port])).toBe(0);
    guest.domain.events.sendVirq(VIRQ_TIMER);
    expect(guest.take()).toEqual([]);
    expect(bind(guest, VIRQ_TIMER)).toBe(port);
  });

  test('a masked port is pending and no more, until it is unmasked', () => {
    const guest = new DomainFixture();
    const port = bind(guest, VIRQ_TIMER);
    guest.setMask(port, true);
    guest.domain.events.send(port);
    expect(guest.info[0]).toBe(0);
    expect(guest.operate('event_channel_op', 9, [port])).toBe(0);
    expect(guest.info[0]).toBe(1);
    expect(guest.take()).toEqual([port]);
  });

  test('an interdomain channel within the domain: either end sends to the other', () => {
    const guest = new DomainFixture();
    expect(guest.call('event_channel_op', 6, (guest.put([SELF | (SELF << 16), 0]), AT))).toBe(0);
    const first = guest.u32(4);
    expect(guest.operate('event_channel_op', 0, [SELF, first, 0])).toBe(0);
    const second = guest.u32(8);
    // Something may have been sent before.
    expect(guest.take()).toEqual([second]);
    guest.operate('event_channel_op', 4, [first]);
    expect(guest.take()).toEqual([second]);
    guest.operate('event_channel_op', 4, [second]);
    expect(guest.take()).toEqual([first]);
    guest.put([SELF, first, 0, 0, 0, 0]);
    expect(guest.call('event_channel_op', 5, AT)).toBe(0);
    expect([guest.u32(8), guest.u32(16), guest.u32(20)]).toEqual([2, 1, second]);
    // When one is closed, the other waits for a new one.
    guest.operate('event_channel_op', 3, [second]);
    guest.put([SELF, first, 0, 0, 0, 0]);
    guest.call('event_channel_op', 5, AT);
    expect(guest.u32(8)).toBe(1);
  });

  test('a backend takes the port that was offered to it, and is notified', () => {
    const guest = new DomainFixture();
    guest.put([SELF, 0]);
    expect(guest.call('event_channel_op', 6, AT)).toBe(0);
    const port = guest.u32(4);
    const told: number[] = [];
    guest.domain.events.attach(BACKEND_BLOCK, { notify: (which) => void told.push(which) });
    guest.operate('event_channel_op', 4, [port]);
    expect(told).toEqual([]);
    expect(guest.domain.events.bindBackend(port, BACKEND_BLOCK)).toBe(true);
    expect(guest.domain.events.bindBackend(port, BACKEND_BLOCK)).toBe(false);
    guest.operate('event_channel_op', 4, [port]);
    expect(told).toEqual([port]);
    guest.domain.events.unbindBackend(port);
    guest.operate('event_channel_op', 4, [port]);
    expect(told).toEqual([port]);
  });

  test('events from another thread arrive when the vCPU comes out, which it is made to', () => {
    const guest = new DomainFixture();
    const port = bind(guest, VIRQ_TIMER);
    guest.cpu.event = 0;
    postEvent(guest.buffer, port);
    expect(guest.cpu.event & EVENT_KICK).toBe(EVENT_KICK);
    expect(guest.info[0]).toBe(0);
    guest.advance();
    expect(guest.take()).toEqual([port]);
    guest.advance();
    expect(guest.take()).toEqual([]);
  });

  test.each([
    ['a VIRQ that is none', 1, [24, 0, 0], EINVAL],
    ['a VIRQ of the control domain', 1, [2, 0, 0], EPERM],
    ['a vCPU that is none', 1, [1, 1, 0], ENOENT],
    ['a physical interrupt', 2, [1, 0, 0], EINVAL],
    ['closing port 0', 3, [0], EINVAL],
    ['sending to a closed port', 4, [77], EINVAL],
    ['sending to a port beyond all', 4, [4096], EINVAL],
    ['offering to an unknown domain', 6, [SELF | (5 << 16), 0], ESRCH],
    ['in the name of another', 6, [3, 0], ESRCH],
    ['binding to what is not offered', 0, [SELF, 9, 0], EINVAL],
    ['binding to the control domain', 0, [0, 9, 0], EINVAL],
    ['the FIFO ABI', 11, [0, 0, 0, 0, 0, 0], ENOSYS],
  ])('refused: %s', (_name, command, words, error) => {
    const guest = new DomainFixture();
    expect(guest.operate('event_channel_op', command, words)).toBe(error);
  });

  test('a port that cannot be told is not kept', () => {
    const guest = new DomainFixture();
    // The arguments are where the guest may read, and not write.
    expect(guest.operate('event_channel_op', 7, [0, 0], PARA_SHARED_INFO * PAGE)).toBe(EFAULT);
    expect(bind(guest, 1)).toBe(3);
  });

  test('all ports can be had, and no more', () => {
    const guest = new DomainFixture();
    let count = 0;
    while (guest.operate('event_channel_op', 7, [0, 0]) === 0) count++;
    expect(count).toBe(4096 - 3);
    expect(guest.operate('event_channel_op', 10, [SELF])).toBe(0);
    expect(guest.operate('event_channel_op', 7, [0, 0])).toBe(0);
  });
});

describe('time', () => {
  const timer = (guest: DomainFixture): number => {
    guest.operate('event_channel_op', 1, [VIRQ_TIMER, 0, 0]);
    expect(guest.call('vcpu_op', 7, 0, 0)).toBe(0);
    return guest.u32(8);
  };

  test('a single shot fires once, at its time', () => {
    const guest = new DomainFixture();
    const port = timer(guest);
    expect(guest.call('vcpu_op', 8, 0, (guest.put([5000n, 0, 0]), AT))).toBe(0);
    expect(guest.domain.deadline()).toBe(5000);
    guest.advance(3999);
    expect(guest.take()).toEqual([]);
    guest.advance(1);
    expect(guest.take()).toEqual([port]);
    expect(guest.domain.deadline()).toBe(Infinity);
  });

  test('a nearer timer than was announced makes the vCPU come out', () => {
    const guest = new DomainFixture();
    timer(guest);
    guest.steady.runUntil(guest.domain.deadline());
    guest.cpu.event = 0;
    guest.call('set_timer_op', 9000);
    expect(guest.cpu.event & EVENT_KICK).toBe(EVENT_KICK);
    guest.steady.runUntil(guest.domain.deadline());
    guest.cpu.event = 0;
    guest.call('set_timer_op', 9500);
    expect(guest.cpu.event & EVENT_KICK).toBe(0);
  });

  test('a time that has passed fires at once, or is refused if it must be in the future', () => {
    const guest = new DomainFixture();
    const port = timer(guest);
    guest.put([500n, 1, 0]);
    expect(guest.call('vcpu_op', 8, 0, AT)).toBe(ETIME);
    expect(guest.take()).toEqual([]);
    guest.put([500n, 0, 0]);
    expect(guest.call('vcpu_op', 8, 0, AT)).toBe(0);
    expect(guest.take()).toEqual([port]);
  });

  test('set_timer_op: 0 stops it; nonsense fires soon', () => {
    const guest = new DomainFixture();
    timer(guest);
    guest.call('set_timer_op', 7000);
    guest.call('set_timer_op', 0);
    expect(guest.domain.deadline()).toBe(Infinity);
    guest.call('set_timer_op', -5);
    expect(guest.domain.deadline()).toBe(1000 + 100_000_000);
  });

  test('the periodic timer ticks, and missed ticks are not made up for', () => {
    const guest = new DomainFixture();
    const port = timer(guest);
    guest.put([2_000_000n]);
    expect(guest.call('vcpu_op', 6, 0, AT)).toBe(0);
    guest.advance(2_000_000);
    expect(guest.take()).toEqual([port]);
    guest.advance(9_000_000);
    expect(guest.take()).toEqual([port]);
    expect(guest.domain.deadline()).toBe(1000 + 12_000_000);
    guest.put([10n]);
    expect(guest.call('vcpu_op', 6, 0, AT)).toBe(EINVAL);
  });

  test('system time is the TSC, as vcpu_time_info says', () => {
    const guest = new DomainFixture();
    const time = new DataView(guest.info.slice(VCPU_INFO.time, VCPU_INFO.time + 32).buffer);
    const ticks = 123_456_789_123n;
    const shifted = (ticks - time.getBigUint64(8, true)) << BigInt(time.getInt8(28));
    expect(time.getBigUint64(16, true) + ((shifted * BigInt(time.getUint32(24, true))) >> 32n)).toBe(ticks);
    expect(time.getUint32(0, true) % 2).toBe(0);
    expect(guest.u32(SHARED_INFO.wcSec, PARA_SHARED_INFO * PAGE)).toBe(1_700_000_000);
    expect(guest.u32(SHARED_INFO.wcNsec, PARA_SHARED_INFO * PAGE)).toBe(250_000_000);
  });

  test('runstate: what was waited is stolen, what was blocked is idle, and the sum is system time', () => {
    const guest = new DomainFixture();
    const area = (PARA_GUEST + 20) * PAGE;
    guest.put([BigInt(area)]);
    expect(guest.call('vcpu_op', 5, 0, AT)).toBe(0);
    guest.waited = { ready: 2e-6, halted: 3e-6 };
    guest.advance(10_000);
    expect(guest.u32(0, area)).toBe(0);
    expect(guest.u64(8, area)).toBe(11_000n);
    expect([0, 1, 2, 3].map((i) => guest.u64(16 + 8 * i, area))).toEqual([6000n, 2000n, 3000n, 0n]);
    // It is not looked at any more, and nothing breaks.
    guest.unmapped.add(BigInt(area));
    guest.waited = { ready: 4e-6, halted: 3e-6 };
    guest.advance(10_000);
  });
});

describe('scheduling', () => {
  test('block waits for an event, with upcalls on; what is pending already is not waited for', () => {
    const guest = new DomainFixture();
    guest.operate('event_channel_op', 1, [VIRQ_TIMER, 0, 0]);
    expect(guest.call('sched_op', 1, 0)).toBe(0);
    expect([guest.halted, guest.info[1]]).toEqual([true, 0]);
    guest.domain.events.sendVirq(VIRQ_TIMER);
    expect(guest.halted).toBe(false);
    guest.call('sched_op', 1, 0);
    expect(guest.halted).toBe(false);
  });

  test('poll: until one of its ports is pending, masked or not, or the time is over', () => {
    const guest = new DomainFixture();
    const ports = [VIRQ_TIMER, 1].map((virq) => {
      guest.operate('event_channel_op', 1, [virq, 0, 0]);
      return guest.u32(8);
    });
    const list = (PARA_GUEST + 20) * PAGE;
    guest.put(ports, list);
    const poll = (timeout: bigint): number => (guest.put([BigInt(list), 2, 0, timeout]), guest.call('sched_op', 3, AT));
    for (const port of ports) guest.setMask(port, true);
    expect(poll(0n)).toBe(0);
    expect(guest.halted).toBe(true);
    guest.domain.events.send(ports[1]!);
    expect(guest.halted).toBe(false);
    poll(0n);
    expect(guest.halted).toBe(false);
    guest.take();
    poll(4000n);
    expect(guest.halted).toBe(true);
    expect(guest.domain.deadline()).toBe(4000);
    guest.advance(3000);
    expect(guest.halted).toBe(false);
    expect(guest.call('sched_op', 3, (guest.put([BigInt(list), 129, 0, 0n]), AT))).toBe(EINVAL);
    guest.put([4096], list);
    expect(poll(0n)).toBe(EINVAL);
  });

  test.each([
    [0, [0]],
    [1, [1]],
    [3, [3]],
  ])('shutdown with reason %i', (reason, told) => {
    const guest = new DomainFixture();
    expect(guest.operate('sched_op', 2, [reason])).toBe(0);
    expect(guest.halted).toBe(true);
    expect(guest.ended).toEqual([]);
    guest.advance();
    expect(guest.ended).toEqual(told);
  });

  test('a suspend is cancelled at once', () => {
    const guest = new DomainFixture();
    expect(guest.operate('sched_op', 2, [2])).toBe(1);
    guest.advance();
    expect(guest.ended).toEqual([]);
  });

  test('a watchdog that is not poked ends the domain', () => {
    const guest = new DomainFixture();
    expect(guest.operate('sched_op', 6, [0, 2])).toBe(1);
    expect(guest.operate('sched_op', 6, [0, 3])).toBe(2);
    expect(guest.operate('sched_op', 6, [0, 3])).toBe(EINVAL);
    expect(guest.operate('sched_op', 6, [2, 0])).toBe(0);
    expect(guest.operate('sched_op', 6, [2, 1])).toBe(EINVAL);
    guest.advance(1e9);
    expect(guest.operate('sched_op', 6, [1, 2])).toBe(0);
    guest.advance(1.5e9);
    expect(guest.ended).toEqual([]);
    guest.advance(0.5e9);
    guest.advance();
    expect(guest.ended).toEqual([4]);
  });

  test('yield makes the vCPU come out', () => {
    const guest = new DomainFixture();
    guest.cpu.event = 0;
    expect(guest.call('sched_op', 0, 0)).toBe(0);
    expect(guest.cpu.event & EVENT_KICK).toBe(EVENT_KICK);
  });
});

describe('vcpu_op', () => {
  test('vcpu_info moves once, with what was in it, and everything is looked for again', () => {
    const guest = new DomainFixture();
    const frame = PARA_GUEST + 30;
    guest.info[1] = 1;
    const register = (mfn: bigint, offset: number): number => (guest.put([mfn, offset, 0]), guest.call('vcpu_op', 10, 0, AT));
    expect(register(BigInt(frame), 4096 - 56)).toBe(EINVAL);
    expect(register(1n << 40n, 64)).toBe(EINVAL);
    expect(register(2n, 64)).toBe(EINVAL);
    expect(register(BigInt(frame), 64)).toBe(0);
    expect(guest.vcpu.info).toBe(frame * PAGE + 64);
    expect(guest.held).toContain(frame);
    expect([...guest.info.subarray(0, 2)]).toEqual([1, 1]);
    expect(guest.u64(VCPU_INFO.pendingSel, guest.vcpu.info)).toBe(2n ** 64n - 1n);
    expect(guest.u32(VCPU_INFO.time + 24, guest.vcpu.info)).toBe(0x8000_0000);
    expect(register(BigInt(frame), 128)).toBe(EINVAL);
  });

  test('one vCPU, which is up', () => {
    const guest = new DomainFixture();
    expect(guest.call('vcpu_op', 3, 0, 0)).toBe(1);
    expect(guest.call('vcpu_op', 3, 1, 0)).toBe(ENOENT);
    expect(guest.call('vcpu_op', 0, 0, AT)).toBe(EEXIST);
    expect(guest.call('vcpu_op', 12, 0, AT)).toBe(EINVAL);
    expect(guest.call('vcpu_op', 99, 0, AT)).toBe(ENOSYS);
    guest.cpu.event = 0;
    expect(guest.call('vcpu_op', 11, 0, 0)).toBe(0);
    expect(guest.cpu.event & EVENT_NMI).toBe(EVENT_NMI);
    expect(guest.call('vcpu_op', 2, 0, 0)).toBe(0);
    guest.advance();
    expect(guest.ended).toEqual([0]);
  });
});

describe('memory_op', () => {
  const LIST = (PARA_GUEST + 20) * PAGE;
  /** struct xen_memory_reservation. */
  const reservation = (extents: number, order = 0, list = BigInt(LIST), domain = SELF) => [list, BigInt(extents), order, 0, BigInt(domain)];

  test('what memory there is', () => {
    const guest = new DomainFixture();
    guest.put([4, 0, BigInt(LIST)]);
    expect(guest.call('memory_op', 9, AT)).toBe(0);
    expect(guest.u32()).toBe(1);
    expect([guest.u64(0, LIST), guest.u64(8, LIST), guest.u32(16, LIST)]).toEqual([0n, 4n << 20n, 1]);
    expect(guest.operate('memory_op', 3, [SELF])).toBe(1024);
    expect(guest.operate('memory_op', 4, [SELF])).toBe(1024);
    expect(guest.operate('memory_op', 3, [0])).toBe(EPERM);
    expect(guest.operate('memory_op', 3, [7])).toBe(ESRCH);
    expect(guest.call('memory_op', 2, 0)).toBe(guest.para.frames - 1);
    expect(guest.call('memory_op', 12, AT)).toBe(0);
    expect([guest.u64(), guest.u64(16)]).toEqual([MACH2PHYS_VIRT_ALIAS, BigInt(guest.para.frames - 1)]);
    expect(guest.call('memory_op', 10, AT)).toBe(EPERM);
    expect(guest.call('memory_op', 55, AT)).toBe(ENOSYS);
    expect(guest.call('memory_op', 9, NOWHERE)).toBe(EFAULT);
  });

  test('ballooning: frames are given back and had again, and the table tells where', () => {
    const guest = new DomainFixture();
    const frames = [40, 41, 42].map((n) => BigInt(PARA_GUEST + n));
    guest.put(frames, LIST);
    expect(guest.operate('memory_op', 1, reservation(3))).toBe(3);
    expect(guest.free).toEqual(frames.map(Number));
    guest.put([500n, 501n], LIST);
    expect(guest.operate('memory_op', 6, reservation(2))).toBe(2);
    const given = [guest.u64(0, LIST), guest.u64(8, LIST)];
    expect(given).toEqual([frames[2], frames[1]]);
    expect(guest.u64(8 * Number(given[0]), guest.para.m2p * PAGE)).toBe(500n);
    expect(guest.operate('memory_op', 0, reservation(5))).toBe(1);
    expect(guest.u64(0, LIST)).toBe(frames[0]);
  });

  test('it ends where it is wrong, and says how far it got', () => {
    const guest = new DomainFixture();
    guest.put([BigInt(PARA_GUEST + 40), 1n, BigInt(PARA_GUEST + 41)], LIST);
    expect(guest.operate('memory_op', 1, reservation(3))).toBe(1);
    expect(guest.operate('memory_op', 1, reservation(3, 0, NOWHERE))).toBe(0);
    expect(guest.operate('memory_op', 1, reservation(3, 0, BigInt(LIST), 0))).toBe(0);
    expect(guest.operate('memory_op', 6, reservation(1, 9))).toBe(0);
    expect(guest.call('memory_op', 1, NOWHERE)).toBe(0);
  });

  test.each([true, false])('long lists are gone on with (batching: %s)', (batching) => {
    const guest = new DomainFixture({ batching });
    const count = 600;
    for (let i = 0; i < count; i++) guest.put([BigInt(PARA_GUEST + 40 + i)], LIST + 8 * i);
    guest.put(reservation(count));
    let command = 1;
    let calls = 1;
    for (; ; calls++) {
      const result = guest.call('memory_op', command, AT);
      if (result !== PREEMPTED) {
        expect(result).toBe(count);
        break;
      }
      command = Number(guest.vcpu.args.get(0));
    }
    expect(calls).toBe(batching ? 2 : count);
    expect(guest.free).toHaveLength(count);
  });

  test('exchange', () => {
    const guest = new DomainFixture();
    const out = LIST + 512;
    guest.put([BigInt(PARA_GUEST + 40)], LIST);
    guest.put([77n], out);
    const ask = (a: readonly (number | bigint)[], b: readonly (number | bigint)[]): number =>
      guest.operate('memory_op', 11, [...a, ...b, 0n]);
    expect(ask(reservation(1), reservation(1, 0, BigInt(out)))).toBe(0);
    expect(guest.u64(64)).toBe(1n);
    expect(guest.u64(0, out)).toBe(BigInt(PARA_GUEST + 40));
    expect(guest.u64(8 * (PARA_GUEST + 40), guest.para.m2p * PAGE)).toBe(77n);
    expect(ask(reservation(2), reservation(1, 0, BigInt(out)))).toBe(EINVAL);
    expect(ask(reservation(2, 0), reservation(1, 1, BigInt(out)))).toBe(ENOMEM);
    expect(ask(reservation(1, 0, BigInt(LIST), 0), reservation(1, 0, BigInt(out)))).toBe(EPERM);
  });
});

describe('console', () => {
  const ring = (guest: DomainFixture): DataView => new DataView(guest.buffer, guest.frame(CONSOLE_FRAME).byteOffset, PAGE);
  const write = (guest: DomainFixture, text: string): void => {
    const r = ring(guest);
    for (const char of text) {
      const at = r.getUint32(3084, true);
      r.setUint8(1024 + (at % 2048), char.charCodeAt(0));
      r.setUint32(3084, at + 1, true);
    }
    guest.put([PARA_CONSOLE_PORT]);
    guest.call('event_channel_op', 4, AT);
  };

  test('what the guest writes comes out; its frame is held', () => {
    const guest = new DomainFixture();
    expect(guest.held).toContain(CONSOLE_FRAME);
    write(guest, 'hello');
    expect(new TextDecoder().decode(guest.output.read())).toBe('hello');
    expect(guest.notified).toBe(1);
    // There was room: it does not wait to be told.
    expect(guest.take()).toEqual([]);
  });

  test('what is typed comes in, with an event', () => {
    const guest = new DomainFixture();
    guest.input.write(new TextEncoder().encode('abc'));
    guest.advance();
    expect(guest.take()).toEqual([PARA_CONSOLE_PORT]);
    expect([...guest.frame(CONSOLE_FRAME).subarray(0, 3)]).toEqual([97, 98, 99]);
    expect(ring(guest).getUint32(3076, true)).toBe(3);
    guest.input.write(new Uint8Array(2000).fill(1));
    guest.advance();
    expect(ring(guest).getUint32(3076, true)).toBe(1024);
    guest.take();
    ring(guest).setUint32(3072, 1024, true);
    guest.advance();
    expect(ring(guest).getUint32(3076, true)).toBe(2003);
  });

  test('nothing is lost where the other side is slow', () => {
    const guest = new DomainFixture({ outputSize: 16 });
    write(guest, 'abcdefghijklmnopqrstuvwxyz');
    let text = '';
    for (let i = 0; i < 5; i++) {
      text += new TextDecoder().decode(guest.output.read());
      guest.advance(1_000_000);
    }
    expect(text).toBe('abcdefghijklmnopqrstuvwxyz');
    expect(guest.domain.console.deadline()).toBe(Infinity);
    // Full: the guest waits, and is told when there is room.
    write(guest, 'x'.repeat(2048));
    expect(guest.take()).toEqual([PARA_CONSOLE_PORT]);
  });

  test('indices that cannot be are left alone', () => {
    const guest = new DomainFixture();
    ring(guest).setUint32(3084, 0xffff_0000, true);
    ring(guest).setUint32(3072, 5, true);
    guest.put([PARA_CONSOLE_PORT]);
    guest.call('event_channel_op', 4, AT);
    guest.input.push(1);
    guest.advance();
    expect(guest.output.available()).toBe(0);
  });

  test('console_io', () => {
    const guest = new DomainFixture();
    guest.frame(ARGUMENTS).set(new TextEncoder().encode('early'));
    expect(guest.call('console_io', 0, 5, AT)).toBe(0);
    expect(new TextDecoder().decode(guest.output.read())).toBe('early');
    expect(guest.call('console_io', 1, 5, AT)).toBe(EPERM);
    expect(guest.call('console_io', 0, 5, NOWHERE)).toBe(EFAULT);
  });
});

describe('the rest', () => {
  test('xen_version', () => {
    const guest = new DomainFixture();
    expect(guest.call('xen_version', 0, 0)).toBe((4 << 16) | 17);
    expect(guest.call('xen_version', 7, 0)).toBe(4096);
    expect(guest.operate('xen_version', 6, [0, 0])).toBe(0);
    expect(guest.u32(4)).toBe((1 << 5) | (1 << 7));
    expect(guest.operate('xen_version', 6, [1, 0])).toBe(EINVAL);
    expect(guest.call('xen_version', 5, AT)).toBe(0);
    expect(guest.u64()).toBe(HYPERVISOR_VIRT_START);
    expect(guest.call('xen_version', 3, AT)).toBe(0);
    expect(new TextDecoder().decode(guest.frame(ARGUMENTS)).split('\0')[0]).toBe('xen-3.0-x86_64');
    expect(guest.call('xen_version', 5, NOWHERE)).toBe(EFAULT);
    expect(guest.call('xen_version', 42, AT)).toBe(ENOSYS);
  });

  test('vm_assist, physdev_op, nmi_op, hvm_op', () => {
    const guest = new DomainFixture();
    expect(guest.call('vm_assist', 0, 2)).toBe(0);
    expect(guest.para.assists).toBe(4);
    expect(guest.call('vm_assist', 1, 2)).toBe(0);
    expect(guest.para.assists).toBe(0);
    expect(guest.call('vm_assist', 0, 6)).toBe(EINVAL);
    expect(guest.call('vm_assist', 2, 2)).toBe(ENOSYS);
    expect(guest.operate('physdev_op', 6, [3])).toBe(0);
    expect(guest.vcpu.iopl).toBe(3);
    expect(guest.operate('physdev_op', 6, [4])).toBe(EINVAL);
    expect(guest.operate('physdev_op', 13, [])).toBe(EPERM);
    expect(guest.operate('physdev_op', 28, [])).toBe(ENOSYS);
    expect(guest.operate('nmi_op', 0, [0xffff_ffff_8100_0000n, 0n])).toBe(0);
    expect(guest.operate('nmi_op', 0, [0x8000_0000_0000_0000n, 0n])).toBe(EINVAL);
    expect(guest.operate('hvm_op', 1, [])).toBe(EINVAL);
    expect(guest.operate('hvm_op', 99, [])).toBe(ENOSYS);
  });

  test('arguments may lie across pages, of which one is not there', () => {
    const guest = new DomainFixture();
    const across = AT + PAGE - 6;
    expect(guest.call('vcpu_op', 7, 0, 0)).toBe(0);
    guest.put([0x1_0000_1234n, 0], across);
    expect(guest.call('vcpu_op', 8, 0, across)).toBe(0);
    expect(guest.domain.deadline()).toBe(0x1_0000_1234);
    expect(guest.call('xen_version', 5, across)).toBe(0);
    expect(guest.u64(0, across)).toBe(HYPERVISOR_VIRT_START);
    guest.unmapped.add(BigInt(AT + PAGE));
    expect(guest.call('vcpu_op', 8, 0, across)).toBe(EFAULT);
    expect(guest.call('xen_version', 5, across)).toBe(EFAULT);
  });

  test('what nobody does has its error, always', () => {
    const guest = new DomainFixture();
    for (const { number, by } of HYPERCALL_ROWS) if (typeof by === 'number') expect(guest.callNumber(number, 1, AT)).toBe(-by);
    expect(guest.callNumber(11)).toBe(ENOSYS);
    expect(guest.callNumber(63)).toBe(ENOSYS);
    expect(guest.callNumber(1000)).toBe(ENOSYS);
  });

  test('whatever the arguments are, there is a result', () => {
    const services = HYPERCALL_ROWS.filter(({ by, name }) => by === 'domain' && name !== 'grant_table_op').map(({ number }) => number);
    const word = fc.oneof(
      fc.nat(40),
      fc.constantFrom(AT, AT + PAGE - 4, PARA_SHARED_INFO * PAGE, SELF, 0xffff_ffff),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    );
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom(...services), fc.array(word, { minLength: 6, maxLength: 6 }), fc.array(word, { maxLength: 12 })),
          {
            maxLength: 30,
          },
        ),
        (calls) => {
          const guest = new DomainFixture();
          for (const [number, args, words] of calls) {
            guest.put(words.map((w) => BigInt(w)));
            const result = guest.callNumber(number, ...args);
            expect(result === PREEMPTED || result >= -100).toBe(true);
            guest.advance(1000);
            guest.domain.deadline();
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
