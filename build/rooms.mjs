#!/usr/bin/env node
/**
 * Checks who imports whom (docs/architecture.md, "Rooms"): prints each import that breaks a rule, and exits with 1 if there is one.
 * Type-only imports count too, except where a rule says otherwise.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';

/** From the lowest room to the highest: a room imports itself and what stands before it. */
const ROOMS = [
  'spec',
  'state',
  'wasm',
  'processor',
  'translator',
  'bus',
  'devices',
  'firmware',
  'storage',
  'network',
  'scheduler',
  'guest',
  'kvm',
  'vmm',
  'machine',
  'host',
  'cli',
];

const rules = ROOMS.slice(0, -1).flatMap((room, rank) => {
  const above = ROOMS.slice(rank + 1);
  const to = { path: `^core/(${above.join('|')})/` };
  const name = `core/${room} imports only what is below it`;
  if (room !== 'processor') return [{ name, from: { path: `^core/${room}/` }, to }];
  // The processor's glue implements its side of ProcessorBus, whose type the bus room owns.
  const withoutBus = above.filter((other) => other !== 'bus');
  return [
    { name, from: { path: '^core/processor/' }, to: { path: `^core/(${withoutBus.join('|')})/` } },
    {
      name: 'core/processor imports only types of core/bus',
      from: { path: '^core/processor/', pathNot: '\\.test\\.ts$' },
      to: { path: '^core/bus/', dependencyTypesNot: ['type-only'] },
    },
  ];
});

const forbidden = [
  ...rules,
  { name: 'core knows no shell', from: { path: '^core/' }, to: { path: '^(electron|renderer)/' } },
  { name: 'electron reaches the core through core/host', from: { path: '^electron/' }, to: { path: '^core/(?!host/)' } },
  { name: 'electron knows no renderer', from: { path: '^electron/' }, to: { path: '^renderer/' } },
  { name: 'renderer reaches nothing but electron/ipc.ts', from: { path: '^renderer/' }, to: { path: '^(core/|electron/(?!ipc\\.ts$))' } },
  {
    name: 'renderer imports only types of electron/ipc.ts',
    from: { path: '^renderer/' },
    to: { path: '^electron/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'no cycles',
    from: { path: '^(core|electron|renderer)/' },
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  },
  { name: 'no import of tests', from: { path: '^(core|electron|renderer|build)/', pathNot: '\\.test\\.ts$' }, to: { path: '^test/' } },
];

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
const places = ['core', 'electron', 'renderer', 'build'].filter((place) => existsSync(place));
const { output } = await cruise(places, {
  baseDir: root,
  validate: true,
  ruleSet: { forbidden: forbidden.map((rule) => ({ severity: 'error', ...rule })) },
  tsPreCompilationDeps: true,
  exclude: { path: '^(core/processor/assembly|core/guest/image|node_modules|dist|renderer/dist)' },
  doNotFollow: { path: 'node_modules' },
});
const { violations, totalCruised } = output.summary;
for (const { rule, from, to, cycle } of violations)
  console.error(`${from} -> ${cycle?.map((step) => step.name ?? step).join(' -> ') ?? to}: ${rule.name}`);
console.log(`rooms: ${totalCruised} modules, ${violations.length} forbidden imports`);
process.exitCode = violations.length > 0 ? 1 : 0;
