import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { describe, expect, it } from 'vitest';
import { v8MakesWay } from './priority.ts';

const names = (): [number, string][] =>
  readdirSync('/proc/self/task').map((thread) => [Number(thread), readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim()]);

describe.runIf(process.platform === 'linux')('v8MakesWay', () => {
  it("lowers the priority of V8's threads and of no other, however often it is called", () => {
    const before = getPriority(process.pid);
    const others = names().filter(([, name]) => name !== 'V8Worker');
    const priorities = others.map(([thread]) => getPriority(thread));
    v8MakesWay();
    v8MakesWay();
    const workers = names().filter(([, name]) => name === 'V8Worker');
    expect(workers.length).toBeGreaterThan(0);
    for (const [thread] of workers) expect(getPriority(thread)).toBe(Math.min(before + 10, 19));
    expect(others.map(([thread]) => getPriority(thread))).toEqual(priorities);
  });
});
