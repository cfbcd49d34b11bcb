/** What a pretended engine has done, after so much load. */
import type { Activities, Execution, LoadSample, VcpuLoad } from '../../electron/ipc.ts';

export function execution(history: readonly LoadSample[]): Execution {
  const sum = (pick: (load: VcpuLoad) => number): number =>
    history.reduce((all, { vcpus }) => all + vcpus.reduce((sum, load) => sum + pick(load), 0), 0);
  const [privileged, sensitive] = [sum((load) => load.privileged), sum((load) => load.sensitive)];
  const activity = (name: keyof Activities): number => sum((load) => load.activities[name]);
  const regions = 40 + history.length * 2;
  return {
    engine: 'translator',
    classes: { innocuous: sum((load) => load.instructions) - privileged - sensitive, sensitive, privileged },
    shares: { interpreted: 0.06, translated: 0.94 },
    activities: {
      interpreted: activity('interpreted'),
      translated: activity('translated'),
      mmu: activity('mmu'),
      decoding: activity('decoding'),
      compiling: activity('compiling'),
      devices: activity('devices'),
    },
    translation: {
      regions,
      modules: Math.ceil(regions / 5),
      instructions: regions * 30,
      guestBytes: regions * 110,
      bytes: regions * 2600,
      finding: regions * 4e-5,
      building: regions * 2.5e-4,
      compiling: regions * 1e-4,
      materializing: regions * 2e-5,
      failures: 0,
      invalidated: Math.floor(regions / 30),
      evicted: 0,
      overtaken: 1,
      longestHold: 3.4,
      live: { regions: regions - Math.floor(regions / 30), modules: Math.ceil(regions / 5), bytes: regions * 2500 },
      waiting: history.length % 4,
      fallbacks: { WRMSR: 12_400 + history.length, IRET: 48_210 + history.length * 90, 'MOV CRn, rmy': 3_021, HLT: 900 },
    },
  };
}
