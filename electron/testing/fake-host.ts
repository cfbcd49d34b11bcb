/** A host with one VM that does nothing, for the tests of the shells. */
import { UserError, type Host, type HostEvents, type HostInfo, type Settings, type VmSummary } from '../../core/host/api.ts';

export class FakeHost implements Host {
  readonly summary: VmSummary = {
    definition: {
      id: 'a',
      name: 'A',
      source: { kind: 'builtin' },
      memory: 64,
      vcpus: 1,
      disks: [],
      serials: 1,
      created: '2026-01-01T00:00:00.000Z',
    },
    state: 'running',
    since: '2026-01-01T00:00:00.000Z',
  };
  written: number[] = [];
  closed = false;
  current: Settings = { language: 'en', theme: 'dark' };
  readonly #listeners = new Map<string, Set<unknown>>();

  emit<K extends keyof HostEvents>(event: K, ...args: Parameters<HostEvents[K]>): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (...args: Parameters<HostEvents[K]>) => void)(...args);
  }

  on<K extends keyof HostEvents>(event: K, listener: HostEvents[K]): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener));
    return () => set.delete(listener);
  }

  info(): Promise<HostInfo> {
    return Promise.reject(new Error('this host knows nothing of itself'));
  }
  list() {
    return { vms: [this.summary], damaged: [] };
  }
  async create() {
    return this.summary;
  }
  async edit() {
    return this.summary;
  }
  async delete() {}
  async start() {
    throw new UserError('It is running already.');
  }
  async pause() {}
  async resume() {}
  async reset() {}
  async shutdown() {}
  async forceOff() {}
  async attachDisk() {
    return 'xvdb';
  }
  async detachDisk() {}
  write(_id: string, _port: number, data: Uint8Array) {
    this.written.push(...data);
  }
  scrollback() {
    return { data: Uint8Array.of(1, 2, 3), end: 3 };
  }
  history() {
    return [];
  }
  execution() {
    return undefined;
  }
  log() {
    return ['a line'];
  }
  lab() {
    return { running: false };
  }
  startLab() {}
  async stopLab() {}
  settings() {
    return this.current;
  }
  async changeSettings(change: Partial<Settings>) {
    this.current = { ...this.current, ...change };
    this.emit('settings', this.current);
    return this.current;
  }
  async close() {
    this.closed = true;
  }
}
