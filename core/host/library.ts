/** The VM definitions: one JSON file each in the state folder. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UserError, type DamagedDefinition, type VmDefinition, type VmDraft } from './api.ts';
import { causeOf } from './cause.ts';
import { definitionSchema, parse } from './definition.ts';

/** The state folder: `--state`, RINGSIDE_STATE, or the place that the host's system has for it. */
export function stateFolder(given?: string, env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  const named = given ?? env['RINGSIDE_STATE'];
  if (named !== undefined && named !== '') return path.resolve(named);
  if (platform === 'win32') return path.join(env['LOCALAPPDATA'] ?? path.join(homedir(), 'AppData', 'Local'), 'Ringside');
  if (platform === 'darwin') return path.join(homedir(), 'Library', 'Application Support', 'Ringside');
  const base = env['XDG_STATE_HOME'];
  return path.join(base !== undefined && path.isAbsolute(base) ? base : path.join(homedir(), '.local', 'state'), 'ringside');
}

/** Makes a folder and what leads to it. (Node's own `recursive` never returns where a parent cannot be made, as in /proc.) */
async function makeFolder(folder: string): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(folder, { mode: 0o700 }).catch(async (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error;
    });
  try {
    await make();
  } catch (error) {
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await make();
  }
}

/** Writes a file whole or not at all: readers see the old content or the new one, also after a power cut. */
export async function writeAtomically(file: string, text: string, mode = 0o644): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

interface Entry {
  definition: VmDefinition;
  /** What the file had beyond what this version knows. */
  unknown: Record<string, unknown>;
}

export class Library {
  readonly folder: string;
  #entries = new Map<string, Entry>();
  #damaged: DamagedDefinition[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Opens (and makes) the folder. Throws a UserError if it cannot be used. */
  static async open(folder: string): Promise<Library> {
    const library = new Library(folder);
    try {
      await makeFolder(library.vms);
      await access(library.vms, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new UserError(`The state folder ${folder} cannot be written to: ${causeOf(error)}.`, 'state');
    }
    await library.reload();
    return library;
  }

  /** Where the definitions are. */
  get vms(): string {
    return path.join(this.folder, 'vms');
  }

  get damaged(): readonly DamagedDefinition[] {
    return this.#damaged;
  }

  list(): VmDefinition[] {
    return [...this.#entries.values()]
      .map((entry) => entry.definition)
      .sort((a, b) => a.created.localeCompare(b.created) || a.id.localeCompare(b.id));
  }

  get(id: string): VmDefinition | undefined {
    return this.#entries.get(id)?.definition;
  }

  /** Reads all definitions anew. */
  async reload(): Promise<void> {
    const entries = new Map<string, Entry>();
    const damaged: DamagedDefinition[] = [];
    const files = (await readdir(this.vms)).filter((name) => name.endsWith('.json')).sort();
    for (const name of files) {
      const file = path.join(this.vms, name);
      try {
        const entry = read(await readFile(file, 'utf8'));
        if (`${entry.definition.id}.json` !== name) throw new UserError(`it has the id of another file (${entry.definition.id})`);
        entries.set(entry.definition.id, entry);
      } catch (error) {
        const reason = error instanceof UserError ? error.message : error instanceof SyntaxError ? 'it is not JSON' : causeOf(error);
        damaged.push({ file, reason });
      }
    }
    this.#entries = entries;
    this.#damaged = damaged;
  }

  async add(draft: VmDraft): Promise<VmDefinition> {
    let id = slug(draft.name);
    const taken = new Set(await readdir(this.vms).catch(() => []));
    for (let n = 2; taken.has(`${id}.json`); n++) id = `${slug(draft.name)}-${n}`;
    const definition: VmDefinition = { ...draft, id, created: new Date().toISOString() };
    await this.#save({ definition, unknown: {} });
    return definition;
  }

  async replace(id: string, draft: VmDraft): Promise<VmDefinition> {
    const entry = this.#entry(id);
    const definition: VmDefinition = { ...draft, id, created: entry.definition.created };
    await this.#save({ definition, unknown: entry.unknown });
    return definition;
  }

  async remove(id: string): Promise<void> {
    this.#entry(id);
    try {
      await rm(this.#file(id), { force: true });
    } catch (error) {
      throw new UserError(`${this.#file(id)} cannot be removed: ${causeOf(error)}.`);
    }
    this.#entries.delete(id);
  }

  #file(id: string): string {
    return path.join(this.vms, `${id}.json`);
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new UserError(`There is no VM "${id}".`, 'id');
    return entry;
  }

  async #save(entry: Entry): Promise<void> {
    const file = this.#file(entry.definition.id);
    try {
      await writeAtomically(file, `${JSON.stringify({ ...entry.unknown, ...entry.definition }, null, 2)}\n`);
    } catch (error) {
      throw new UserError(`${file} cannot be written: ${causeOf(error)}.`, 'state');
    }
    this.#entries.set(entry.definition.id, entry);
  }
}

function read(text: string): Entry {
  const value: unknown = JSON.parse(text);
  const definition = parse(definitionSchema, value);
  const known = new Set(Object.keys(definitionSchema.entries));
  const unknown = Object.fromEntries(Object.entries(value as object).filter(([key]) => !known.has(key)));
  const mine = Object.fromEntries(Object.entries(definition).filter(([key]) => known.has(key))) as unknown as VmDefinition;
  return { definition: mine, unknown };
}

/** A file name from a VM's name. */
function slug(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return plain === '' ? 'vm' : plain;
}
