/** What a VM's definition must look like: one schema for the form, the command and the files in the state folder. */
import * as v from 'valibot';
import { UserError, type VmDefinition, type VmDraft } from './api.ts';

/** MiB. The built-in guest needs little; a Linux kernel with an initrd wants more. */
export const DEFAULT_MEMORY_BUILTIN = 64;
export const DEFAULT_MEMORY = 512;
/** MiB: machine memory is 32-bit (core/state/machine.ts, RAM_MAX). */
export const MEMORY_MAX = 3584;
export const MEMORY_MIN = 1;
export const SERIALS_MAX = 4;

const path = (what: string) =>
  v.pipe(
    v.string(`Give the path of ${what}.`),
    v.nonEmpty(`Give the path of ${what}.`),
    v.check((p) => !p.includes('\0'), `The path of ${what} contains a zero byte.`),
  );

const commandLine = v.optional(
  v.pipe(v.string('The command line must be text.'), v.maxLength(2047, 'The command line is longer than 2047 characters.')),
);

const source = v.variant(
  'kind',
  [
    v.strictObject({ kind: v.literal('builtin'), append: commandLine }),
    v.strictObject({
      kind: v.literal('kernel'),
      kernel: path('a kernel'),
      initrd: v.optional(path('the initial RAM disk')),
      append: commandLine,
      modules: v.optional(v.array(path('a module'))),
    }),
    v.strictObject({ kind: v.literal('disk') }),
  ],
  'Choose what the VM starts from: the built-in guest, a kernel or a disk.',
);

/** The draft of a VM, without what only the host can know (files, free memory, CPU models): `checkDraft` in check.ts adds that. */
export const draftSchema = v.pipe(
  v.strictObject({
    name: v.pipe(
      v.string('Give the VM a name.'),
      v.trim(),
      v.nonEmpty('Give the VM a name.'),
      v.maxLength(64, 'A VM’s name has at most 64 characters.'),
      v.check((name) => !/\p{Cc}/u.test(name), 'A VM’s name cannot contain control characters.'),
    ),
    source,
    memory: v.pipe(
      v.number('Memory is a whole number of MiB.'),
      v.integer('Memory is a whole number of MiB.'),
      v.minValue(MEMORY_MIN, 'A VM needs at least 1 MiB of memory.'),
      v.maxValue(MEMORY_MAX, `A VM can have at most ${MEMORY_MAX} MiB of memory.`),
    ),
    vcpus: v.pipe(
      v.number('The number of vCPUs is a whole number.'),
      v.integer('The number of vCPUs is a whole number.'),
      v.minValue(1, 'A VM needs at least one vCPU.'),
    ),
    cpu: v.optional(v.pipe(v.string('The CPU model must be text.'), v.maxLength(1000, 'The CPU model is too long.'))),
    technique: v.optional(
      v.picklist(['automatic', 'full', 'para', 'hardware'], 'The technique is one of automatic, full, para and hardware.'),
    ),
    full: v.optional(
      v.strictObject({
        translateSensitive: v.boolean('“Translate sensitive instructions” is on or off.'),
        adaptive: v.boolean('“Adaptive translation” is on or off.'),
      }),
    ),
    para: v.optional(
      v.strictObject({
        batching: v.boolean('“Batching” is on or off.'),
        asynchrony: v.boolean('“Asynchrony” is on or off.'),
      }),
    ),
    engine: v.optional(v.picklist(['interpreter', 'translator', 'kvm'], 'The engine is one of interpreter, translator and kvm.')),
    disks: v.pipe(
      v.array(v.strictObject({ path: path('a disk'), readonly: v.optional(v.boolean()) }), 'Disks are a list.'),
      v.maxLength(8, 'A VM can have at most 8 disks.'),
    ),
    serials: v.pipe(
      v.number('The number of serial ports is a whole number.'),
      v.integer('The number of serial ports is a whole number.'),
      v.minValue(1, 'A VM has at least one serial port.'),
      v.maxValue(SERIALS_MAX, `A VM has at most ${SERIALS_MAX} serial ports.`),
    ),
    notes: v.optional(v.pipe(v.string('Notes must be text.'), v.maxLength(10_000, 'Notes have at most 10,000 characters.'))),
  }),
  v.forward(
    v.check((draft) => draft.source.kind !== 'disk' || draft.disks.length > 0, 'A VM that starts from a disk needs a disk.'),
    ['disks'],
  ),
);

const draftEntries = draftSchema.pipe[0].entries;

/** What stands in a file of the state folder. Keys that a later version added are kept. */
export const definitionSchema = v.looseObject({
  ...draftEntries,
  id: v.pipe(v.string('The id is missing.'), v.regex(/^[a-z0-9-]{1,64}$/, 'The id is not made of a-z, 0-9 and "-".')),
  created: v.pipe(v.string('The time of creation is missing.'), v.isoTimestamp('The time of creation is not an ISO 8601 time.')),
});

/** Checks a value against a schema; the first mistake is thrown as a UserError with the form's field ("source.kernel"). */
export function parse<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue) ?? undefined;
  throw new UserError(sentence(issue, field), field);
}

/** valibot's own words ("Invalid key: Expected never ...") are not for users. */
function sentence(issue: v.BaseIssue<unknown>, field: string | undefined): string {
  if (issue.type === 'strict_object' && issue.expected === 'never') return `There is no setting "${field ?? ''}".`;
  if (/^Invalid /.test(issue.message)) return field === undefined ? 'That is not a valid request.' : `"${field}" is missing or not valid.`;
  return issue.message;
}

// The schema and the interface are two writings of one thing: these fail to compile when they part.
type Same<A, B> = A extends B ? true : never;
true satisfies Same<v.InferOutput<typeof draftSchema>, VmDraft>;
true satisfies Same<Omit<VmDefinition, 'id' | 'created'>, Readonly<VmDraft>>;
