/** What the translator makes of a guest's code while it runs, in this thread, so that it can be looked at. */
import type { VmDraft } from '../host/api.ts';
import { UserError } from '../host/api.ts';
import { PcpuBlock, REQUEST_PAUSE, VmBlock } from '../host/block.ts';
import { engineModules } from '../host/assets.ts';
import { milliseconds, monotonic } from '../host/clock.ts';
import { SPEED_START, takeTurn, type Guest, type GuestEngine } from '../host/executor.ts';
import { guests } from '../host/guest.ts';
import { makeMemory } from '../host/machine.ts';
import type { OpenRequest } from '../host/pcpu.ts';
import { Control, Cpu, CPUS, MIB } from '../state/index.ts';
import { listRegion, type Region } from '../translator/index.ts';
import { monitor } from '../vmm/bus.ts';
import { BLOCKED } from '../vmm/account.ts';
import { endingOf } from './run.ts';

export type GuestRequest = {
  readonly draft: VmDraft;
  /** Seconds of this host's clock. */
  readonly timeout: number;
} & ({ readonly at: bigint; readonly hottest?: undefined } | { readonly hottest: number; readonly at?: undefined });

interface Seen {
  readonly region: Region;
  /** Linear address of the entry's page. */
  readonly page: bigint;
  /** Control.generation: later, its records mean something else. */
  readonly generation: number;
  samples: number;
}

/** Milliseconds that a turn has: the only thing that asks for the pCPU is this. */
const SLICE = 1000;

/** The listing: of the region with the instruction at `at`, once it is hot; or of the `hottest`, with their shares. Throws UserErrors. */
export async function translateGuest({ draft, timeout, at, hottest }: GuestRequest): Promise<string> {
  const spec = { ...draft, memory: draft.memory * MIB };
  const { memory, window } = makeMemory(spec);
  const view = new DataView(memory.buffer);
  const control = Control.view(memory.buffer, 0);
  const ripAt = CPUS + Cpu.offsets.rip;
  const block = VmBlock.create(1);
  block.epoch = milliseconds();
  const seen: Seen[] = [];
  /** How often a turn ended at an address. */
  const ends = new Map<bigint, number>();
  let listing: string | undefined;
  let guest: Guest | undefined;
  const finish = (): void => block.request(REQUEST_PAUSE);

  const request: OpenRequest = {
    spec,
    memory,
    modules: await engineModules(),
    epoch: () => block.epoch,
    rtcStart: Date.now(),
    // What the guest says is not what was asked for.
    hooks: { ended: (outcome) => guest && (guest.outcome ??= outcome), output: () => void window.drain(0), note: () => {} },
    translator: {
      // One by one: the vCPU is just about to enter what is translated, and its address is known.
      batch: 1,
      onRegion(region) {
        const page = view.getBigUint64(CPUS + Cpu.offsets.ripBase, true);
        if (hottest !== undefined) return void seen.push({ region, page, generation: control.generation, samples: 0 });
        if (listing !== undefined || !addresses(region, page).includes(at)) return undefined;
        listing = listRegion(region, view, page);
        return finish();
      },
    },
  };
  const machine = guests.machine(request);
  try {
    const bus = monitor(machine.bus, () => block.accounts[0]!, monotonic);
    const engine = guests.engine(request, machine, bus);
    const until = monotonic() + timeout;
    const watched: GuestEngine = {
      run(cpu, budget) {
        const exit = engine.run(cpu, budget);
        if (exit.reason === 'budget') {
          const rip = view.getBigUint64(ripAt, true);
          ends.set(rip, (ends.get(rip) ?? 0) + 1);
        }
        if (monotonic() > until) finish();
        return exit;
      },
      instructions: (cpu) => engine.instructions(cpu),
      userInstructions: (cpu) => engine.userInstructions(cpu),
      undefinedOpcodes: () => engine.undefinedOpcodes(),
    };
    guest = { block, machine, bus, engine: watched, outcome: undefined, speed: SPEED_START };
    await guests.boot(request, machine);
    block.accounts[0]!.clear(BLOCKED, monotonic());
    const turn = takeTurn(guest, 0, SLICE, new PcpuBlock());
    const line = turn.why === 'ended' ? endingOf(turn.outcome).line : undefined;
    const how = turn.why === 'ended' ? (line ?? 'The guest came to its end.') : `The time ran out after ${timeout} s.`;
    if (hottest !== undefined) return hottestOf(seen, ends, hottest, control.generation, view, how);
    if (listing === undefined) throw new UserError(`Nothing that has an instruction at 0x${at.toString(16)} became hot. ${how}`);
    return listing;
  } finally {
    machine.close();
  }
}

/** Linear addresses of a region's instructions. */
const addresses = (region: Region, page: bigint): bigint[] =>
  region.blocks.flatMap(({ instructions }) => instructions.map(({ offset }) => BigInt.asUintN(64, page + BigInt(offset))));

function hottestOf(
  seen: readonly Seen[],
  ends: ReadonlyMap<bigint, number>,
  count: number,
  generation: number,
  view: DataView,
  how: string,
): string {
  // Of several with the same instruction, the last: the others made way for it.
  const owners = new Map(seen.flatMap((one) => addresses(one.region, one.page).map((at) => [at, one] as const)));
  let all = 0;
  for (const [at, times] of ends) {
    all += times;
    const owner = owners.get(at);
    if (owner !== undefined) owner.samples += times;
  }
  const ranked = seen.filter((one) => one.samples > 0 && one.generation === generation).sort((a, b) => b.samples - a.samples);
  if (ranked.length === 0) throw new UserError(`Nothing became hot enough to be translated. ${how}`);
  return ranked
    .slice(0, count)
    .map(({ region, page, samples }) => `; ${((100 * samples) / all).toFixed(1)} % of ${all} samples\n${listRegion(region, view, page)}`)
    .join('\n');
}
