/** Xenstore: answers requests, keeps watches and transactions. A value that can be written down and read again; it knows no memory and no rings. */
import { allows, checkPath, parentOf, PRIVILEGED, Tree, type Access, type Node } from './tree.ts';
import * as xs from './wire.ts';
import { StoreError } from './wire.ts';

interface Watch {
  readonly path: string;
  readonly token: string;
  /** The path was given relative to the domain's directory: events say it so too. */
  readonly relative: boolean;
}

interface Transaction {
  /** `Store.generation` when it began: nothing may have changed since, or it is to be done again. */
  readonly base: number;
  readonly tree: Tree;
}

/** What is written down of a store. */
interface Written {
  readonly generation: number;
  readonly nodes: readonly (readonly [string, Node | undefined])[];
  readonly watches: readonly Watch[];
  readonly transactions: readonly {
    id: number;
    base: number;
    nodes: readonly (readonly [string, Node | null])[];
    changes: [string, boolean][];
  }[];
  readonly next: number;
  readonly input: string;
  readonly output: string;
}

const WATCHES_MAX = 128;
const TRANSACTIONS_MAX = 10;
/** Characters of watches' paths and tokens together, and of what transactions have changed. */
const WATCHED_MAX = 24 << 10;
const CHANGED_MAX = 64 << 10;
/** Characters that wait for room in the ring: a guest that has so many waiting has no more watches told to it. */
const OUTPUT_MAX = 32 << 10;

/** JSON takes six bytes for a control character, which are any bytes here: they are written down as others, which take two. */
const plain = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.replaceAll(/[^ !#-[\]-\u00ff]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0x100)) : value;
const original = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.replaceAll(/[\u0100-\u01ff]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0x100)) : value;

const WRITES = new Set([xs.XS_WRITE, xs.XS_MKDIR, xs.XS_RM, xs.XS_SET_PERMS]);

export class Store {
  /** The domain that asks through the ring, and its directory. */
  readonly domain: number;
  readonly home: string;
  /** What was received of the next message, and what is still to be sent. */
  input = '';
  output = '';
  /** Paths that changed (true: were removed) since someone looked: for backends. */
  changed: [path: string, removed: boolean][] = [];
  #tree: Tree;
  #generation: number;
  #watches: Watch[];
  readonly #transactions = new Map<number, Transaction>();
  #next: number;

  /** `written`: what `toString` gave. */
  constructor(domain: number, written?: string) {
    this.domain = domain;
    this.home = `/local/domain/${domain}`;
    const from = written === undefined ? undefined : (JSON.parse(written, original) as Written);
    this.#tree = new Tree(from?.nodes ?? []);
    this.#generation = from?.generation ?? 0;
    this.#watches = [...(from?.watches ?? [])];
    this.#next = from?.next ?? 1;
    this.input = from?.input ?? '';
    this.output = from?.output ?? '';
    for (const { id, base, nodes, changes } of from?.transactions ?? []) {
      const tree = new Tree(
        nodes.map(([path, node]) => [path, node ?? undefined] as const),
        this.#tree,
      );
      tree.changes.push(...changes);
      this.#transactions.set(id, { base, tree });
    }
  }

  toString(): string {
    const written: Written = {
      generation: this.#generation,
      nodes: this.#tree.entries,
      watches: this.#watches,
      transactions: [...this.#transactions].map(([id, { base, tree }]) => ({
        id,
        base,
        nodes: tree.entries.map(([path, node]) => [path, node ?? null] as const),
        changes: tree.changes,
      })),
      next: this.#next,
      input: this.input,
      output: this.output,
    };
    return JSON.stringify(written, plain);
  }

  // -- the VMM's own requests: those of domain 0

  read(path: string): string | undefined {
    return this.#tree.get(path)?.value;
  }

  list(path: string): string[] {
    return this.#tree.get(path) ? this.#tree.children(path) : [];
  }

  /** Sets the values of nodes; `perms` of those that are given them. */
  write(values: Readonly<Record<string, string>>, perms?: readonly string[]): void {
    for (const [path, value] of Object.entries(values)) {
      this.#tree.write(path, PRIVILEGED, value);
      if (perms) this.#tree.setPerms(path, PRIVILEGED, perms);
    }
    this.#tell();
  }

  remove(path: string): void {
    if (this.#tree.get(path)) this.#tree.remove(path, PRIVILEGED);
    this.#tell();
  }

  // -- the guest's

  /** Answers a message: puts the answer, and what watches there are to be told, behind `output`. */
  answer(message: xs.Message): void {
    const { type, request, transaction } = message;
    let reply: xs.Message;
    let late: (() => void) | undefined;
    try {
      const [payload, after] = this.#do(message);
      late = after;
      reply = { type, request, transaction, payload };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      reply = { type: xs.XS_ERROR, request, transaction, payload: `${error.errno}\0` };
    }
    this.output += xs.encode(reply);
    late?.();
    this.#tell();
  }

  /** The payload of the answer, and what comes after it. */
  #do({ type, transaction, payload }: xs.Message): [payload: string, after?: () => void] {
    const { domain } = this;
    if (type === xs.XS_TRANSACTION_END) return this.#end(transaction, payload);
    const tree = this.#view(transaction, WRITES.has(type));
    const parts = payload.split('\0');
    const path = (): string => this.#path(parts[0]!);
    const OK = 'OK\0';
    switch (type) {
      case xs.XS_DIRECTORY: {
        const names = this.#names(tree, path());
        if (names.length > xs.XENSTORE_PAYLOAD_MAX) throw new StoreError('E2BIG');
        return [names];
      }
      case xs.XS_DIRECTORY_PART: {
        const names = this.#names(tree, path());
        const part = names.slice(Number(parts[1] ?? 0) || 0, (Number(parts[1] ?? 0) || 0) + 2048);
        return [`${this.#generation}\0${part}${Number(parts[1] ?? 0) + part.length >= names.length ? '\0' : ''}`];
      }
      case xs.XS_READ:
        return [this.#demand(tree, path(), 'r').value];
      case xs.XS_GET_PERMS:
        return [
          this.#demand(tree, path(), 'r')
            .perms.map((perm) => `${perm}\0`)
            .join(''),
        ];
      case xs.XS_WRITE: {
        const end = payload.indexOf('\0');
        if (end < 0) throw new StoreError('EINVAL');
        tree.write(path(), domain, payload.slice(end + 1));
        return [OK];
      }
      case xs.XS_MKDIR:
        tree.write(path(), domain, undefined);
        return [OK];
      case xs.XS_RM:
        tree.remove(path(), domain);
        return [OK];
      case xs.XS_SET_PERMS:
        tree.setPerms(path(), domain, parts.slice(1, -1));
        return [OK];
      case xs.XS_WATCH:
        return [OK, this.#watch(parts[0]!, parts[1])];
      case xs.XS_UNWATCH: {
        const index = this.#watches.findIndex((watch) => watch.path === this.#watched(parts[0]!) && watch.token === parts[1]);
        if (index < 0) throw new StoreError('ENOENT');
        this.#watches.splice(index, 1);
        return [OK];
      }
      case xs.XS_RESET_WATCHES:
        this.#watches = [];
        this.#transactions.clear();
        return [OK];
      case xs.XS_TRANSACTION_START: {
        if (transaction !== 0) throw new StoreError('EBUSY');
        if (this.#transactions.size >= TRANSACTIONS_MAX) throw new StoreError('ENOSPC');
        const id = this.#next++;
        this.#transactions.set(id, { base: this.#generation, tree: new Tree([], this.#tree) });
        return [`${id}\0`];
      }
      case xs.XS_GET_DOMAIN_PATH:
        if (!/^\d{1,5}$/.test(parts[0]!)) throw new StoreError('EINVAL');
        return [`/local/domain/${Number(parts[0])}\0`];
      case xs.XS_IS_DOMAIN_INTRODUCED:
        return [[0, domain].includes(Number(parts[0])) ? 'T\0' : 'F\0'];
      case xs.XS_CONTROL:
      case xs.XS_INTRODUCE:
      case xs.XS_RELEASE:
      case xs.XS_RESUME:
      case xs.XS_SET_TARGET:
        // Domain 0's.
        throw new StoreError('EACCES');
      default:
        throw new StoreError('ENOSYS');
    }
  }

  #end(id: number, payload: string): [string] {
    const transaction = this.#transactions.get(id);
    if (!transaction) throw new StoreError('ENOENT');
    if (payload !== 'T\0' && payload !== 'F\0') throw new StoreError('EINVAL');
    this.#transactions.delete(id);
    if (payload === 'T\0') {
      if (transaction.base !== this.#generation) throw new StoreError('EAGAIN');
      this.#tree.commit(transaction.tree);
    }
    return ['OK\0'];
  }

  /** What a request sees; `writes`: it may change it. */
  #view(id: number, writes: boolean): Tree {
    if (id === 0) return this.#tree;
    const transaction = this.#transactions.get(id);
    if (!transaction) throw new StoreError('ENOENT');
    if (writes) {
      let changed = 0;
      for (const { tree } of this.#transactions.values()) changed += tree.size;
      if (changed > CHANGED_MAX) throw new StoreError('ENOSPC');
    }
    return transaction.tree;
  }

  /** Absolute, from what the guest wrote. */
  #path(text: string): string {
    if (!text.startsWith('/') && text.length > xs.XENSTORE_REL_PATH_MAX) throw new StoreError('EINVAL');
    return checkPath(text.startsWith('/') ? text : `${this.home}/${text}`);
  }

  #watched(text: string): string {
    return text.startsWith('@') ? text : this.#path(text);
  }

  #demand(tree: Tree, path: string, access: Access): Node {
    return tree.demand(path, this.domain, access);
  }

  #names(tree: Tree, path: string): string {
    this.#demand(tree, path, 'r');
    return tree
      .children(path)
      .map((name) => `${name}\0`)
      .join('');
  }

  /** Each watch is told of its node at once. */
  #watch(text: string, token: string | undefined): () => void {
    if (token === undefined || token.length > xs.XENSTORE_REL_PATH_MAX) throw new StoreError('EINVAL');
    const path = this.#watched(text);
    if (this.#watches.some((watch) => watch.path === path && watch.token === token)) throw new StoreError('EEXIST');
    const watched = this.#watches.reduce((all, watch) => all + watch.path.length + watch.token.length, path.length + token.length);
    if (this.#watches.length >= WATCHES_MAX || watched > WATCHED_MAX) throw new StoreError('ENOSPC');
    const watch = { path, token, relative: !/^[/@]/.test(text) };
    this.#watches.push(watch);
    return () => this.#event(watch, path);
  }

  /** Tells watches and backends what has changed. */
  #tell(): void {
    const { changes } = this.#tree;
    if (changes.length === 0) return;
    this.#generation++;
    for (const [path, removed] of changes) {
      for (const watch of this.#watches) {
        if (path === watch.path || path.startsWith(`${watch.path === '/' ? '' : watch.path}/`)) this.#event(watch, path);
        // Whoever watches what was below it is told of that.
        else if (removed && watch.path.startsWith(`${path}/`)) this.#event(watch, watch.path);
      }
      this.changed.push([path, removed]);
    }
    changes.length = 0;
  }

  #event(watch: Watch, path: string): void {
    if (!path.startsWith('@')) {
      const node = this.#tree.get(path) ?? this.#tree.nearest(parentOf(path));
      if (!allows(node, this.domain, 'r')) return;
    }
    if (this.output.length > OUTPUT_MAX) return;
    const name = watch.relative ? path.slice(this.home.length + 1) : path;
    this.output += xs.encode({ type: xs.XS_WATCH_EVENT, request: 0, transaction: 0, payload: `${name}\0${watch.token}\0` });
  }
}
