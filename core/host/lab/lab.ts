/** The lab as the app has it: one run at a time, and what is known so far. */
import { UserError } from '../api.ts';
import { causeOf } from '../cause.ts';
import type { Pool } from '../pool.ts';
import { runLab } from './run.ts';
import type { LabState } from './table.ts';

export class Lab {
  readonly #pool: Pool;
  readonly #tell: (state: LabState) => void;
  #state: LabState = { running: false };
  #stop: AbortController | undefined;
  #run: Promise<void> | undefined;

  /** `tell`: called whenever the state has changed. */
  constructor(pool: Pool, tell: (state: LabState) => void) {
    this.#pool = pool;
    this.#tell = tell;
  }

  get state(): LabState {
    return this.#state;
  }

  /** Begins anew. Throws a UserError if it runs already. */
  start(): void {
    if (this.#run !== undefined) throw new UserError('The lab is running already.');
    const stop = new AbortController();
    this.#stop = stop;
    this.#change({ running: true });
    this.#run = runLab({
      pool: this.#pool,
      signal: stop.signal,
      progress: (table, done, all) => this.#change({ running: true, progress: { done, all }, table }),
    })
      .then(
        (table) => this.#change({ running: false, table }),
        (error: unknown) => {
          const broken = stop.signal.aborted ? {} : { error: causeOf(error) };
          this.#change({ running: false, table: this.#state.table, ...broken });
        },
      )
      .finally(() => (this.#run = undefined));
  }

  /** Breaks a run off; what is measured stays. Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#run;
  }

  #change(state: LabState): void {
    this.#state = state;
    this.#tell(state);
  }
}
