/** The tree of xenstore: nodes with values and permissions, and transactions on it. Paths are absolute and have no slash at the end. */
import { StoreError, XENSTORE_ABS_PATH_MAX } from './wire.ts';

/** Domain 0: it may do everything. */
export const PRIVILEGED = 0;

export interface Node {
  readonly value: string;
  /** "n1", "r0": the first is the owner with what all others may, the rest is for single domains: n, r, w or b. */
  readonly perms: readonly string[];
}

/** What a domain without privileges may have at most. */
export const NODE_MAX = 2048;
export const NODES_MAX = 1000;
/** Characters of all nodes. */
export const TREE_MAX = 96 << 10;

export const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/'))) || '/';
const ownerOf = ({ perms }: Node): number => Number(perms[0]!.slice(1));
const isBelow = (path: string, of: string): boolean => path.startsWith(of === '/' ? '/' : `${of}/`) && path !== of;

/** Throws EINVAL for what is no path. */
export function checkPath(path: string): string {
  if (path === '/') return path;
  if (path.length > XENSTORE_ABS_PATH_MAX || !/^(?:\/[-A-Za-z0-9_@:]+)+$/.test(path)) throw new StoreError('EINVAL');
  return path;
}

export type Access = 'r' | 'w';

export function allows(node: Node, domain: number, access: Access): boolean {
  if (domain === PRIVILEGED || ownerOf(node) === domain) return true;
  const own = node.perms.slice(1).find((perm) => Number(perm.slice(1)) === domain) ?? node.perms[0]!;
  return own[0] === access || own[0] === 'b';
}

/** A view of the tree: itself, or what a transaction sees of it. */
export class Tree {
  readonly #nodes: Map<string, Node | undefined>;
  readonly #under: Tree | undefined;
  /** Paths that were changed through this view, in order; true: it and what was below it was removed. */
  readonly changes: [path: string, removed: boolean][] = [];

  /** `under`: changes stay here until they are committed to it. */
  constructor(nodes: Iterable<readonly [string, Node | undefined]>, under?: Tree) {
    this.#nodes = new Map(nodes);
    this.#under = under;
    if (!under && !this.#nodes.has('/')) this.#nodes.set('/', { value: '', perms: ['n0'] });
  }

  /** Characters of what this view holds itself. */
  get size(): number {
    let size = 0;
    for (const [path, node] of this.#nodes) size += path.length + (node?.value.length ?? 0);
    return size;
  }

  get entries(): readonly (readonly [string, Node | undefined])[] {
    return [...this.#nodes];
  }

  get(path: string): Node | undefined {
    return this.#nodes.has(path) ? this.#nodes.get(path) : this.#under?.get(path);
  }

  #paths(): Set<string> {
    const all = this.#under ? this.#under.#paths() : new Set<string>();
    for (const [path, node] of this.#nodes) {
      if (node) all.add(path);
      else all.delete(path);
    }
    return all;
  }

  /** Names of the nodes right below, sorted. */
  children(path: string): string[] {
    const start = path === '/' ? 1 : path.length + 1;
    return [...this.#paths()]
      .filter((other) => isBelow(other, path) && !other.includes('/', start))
      .map((other) => other.slice(start))
      .toSorted();
  }

  /** The node if `domain` may; throws ENOENT, EACCES. */
  demand(path: string, domain: number, access: Access): Node {
    const node = this.get(path);
    if (!node) throw new StoreError('ENOENT');
    if (!allows(node, domain, access)) throw new StoreError('EACCES');
    return node;
  }

  /** The node, or the nearest above it that is there. */
  nearest(path: string): Node {
    for (let at = path; ; at = parentOf(at)) {
      const node = this.get(at);
      if (node) return node;
    }
  }

  /** Sets a value; makes the node, and those above it, if they are not there. Undefined: leaves the value of one that is. */
  write(path: string, domain: number, value: string | undefined): void {
    const old = this.get(path);
    if (old && value === undefined) return;
    if (!allows(old ?? this.nearest(path), domain, 'w')) throw new StoreError('EACCES');
    if (domain !== PRIVILEGED) this.#quota(path, value ?? '');
    if (!old) this.#make(parentOf(path), domain);
    this.#set(path, { value: value ?? '', perms: old?.perms ?? this.#inherited(path, domain) });
  }

  /** Removes a node and all below it. That there is none is right, if only there is what it would be in. */
  remove(path: string, domain: number): void {
    if (path === '/') throw new StoreError('EINVAL');
    const node = this.get(path);
    if (!node) {
      if (!this.get(parentOf(path))) throw new StoreError('ENOENT');
      return;
    }
    if (!allows(node, domain, 'w')) throw new StoreError('EACCES');
    for (const other of this.#paths()) if (isBelow(other, path)) this.#drop(other);
    this.#drop(path);
    this.#note(path, true);
  }

  /** The owner's right; only domain 0 gives a node away. */
  setPerms(path: string, domain: number, perms: readonly string[]): void {
    const node = this.get(path);
    if (!node) throw new StoreError('ENOENT');
    if (perms.length === 0 || perms.length > 16 || !perms.every((perm) => /^[nrwb]\d{1,5}$/.test(perm))) throw new StoreError('EINVAL');
    if (domain !== PRIVILEGED && (ownerOf(node) !== domain || Number(perms[0]!.slice(1)) !== domain)) throw new StoreError('EACCES');
    this.#set(path, { value: node.value, perms: [...perms] });
  }

  /** Takes over what a transaction changed. */
  commit(transaction: Tree): void {
    for (const [path, node] of transaction.#nodes) {
      if (node) this.#nodes.set(path, node);
      else this.#nodes.delete(path);
    }
    this.changes.push(...transaction.changes);
  }

  #set(path: string, node: Node): void {
    this.#nodes.set(path, node);
    this.#note(path, false);
  }

  /** Each change is told once, by when it was last made. */
  #note(path: string, removed: boolean): void {
    const before = this.changes.findIndex((change) => change[0] === path && change[1] === removed);
    if (before >= 0) this.changes.splice(before, 1);
    this.changes.push([path, removed]);
  }

  #drop(path: string): void {
    if (this.#under) this.#nodes.set(path, undefined);
    else this.#nodes.delete(path);
  }

  #make(path: string, domain: number): void {
    if (this.get(path)) return;
    this.#make(parentOf(path), domain);
    this.#nodes.set(path, { value: '', perms: this.#inherited(path, domain) });
  }

  /** As those of the node above, but who makes a node owns it. */
  #inherited(path: string, domain: number): readonly string[] {
    const { perms } = this.nearest(parentOf(path));
    return domain === PRIVILEGED ? perms : [`${perms[0]![0]}${domain}`, ...perms.slice(1)];
  }

  #quota(path: string, value: string): void {
    if (value.length > NODE_MAX) throw new StoreError('ENOSPC');
    let size = path.length + value.length;
    const paths = this.#paths();
    for (const other of paths) size += other.length + (other === path ? 0 : this.get(other)!.value.length);
    if (size > TREE_MAX || (paths.size >= NODES_MAX && !paths.has(path))) throw new StoreError('ENOSPC');
  }
}
