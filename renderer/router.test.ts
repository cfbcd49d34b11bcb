import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatRoute, parseRoute, TABS } from './router.ts';
import type { Route } from './router.ts';

it('reads back every place that it writes', () => {
  const id = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
  const port = fc.integer({ min: 0, max: 3 });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.record({ view: fc.constantFrom('home' as const, 'lab' as const) }),
        fc.record({ view: fc.constant('console' as const), id, port }),
        fc.record({ view: fc.constant('vm' as const), id, tab: fc.constantFrom(...TABS), port }),
      ),
      (route: Route) => {
        expect(parseRoute(formatRoute(route))).toEqual(route);
      },
    ),
  );
});

it('goes home from what makes no sense', () => {
  for (const hash of ['', '#', '#/nowhere/1', '#/vm', '#/vm/', '#/console/%E0%A4%A']) expect(parseRoute(hash)).toEqual({ view: 'home' });
  expect(parseRoute('#/vm/a/nonsense/9')).toEqual({ view: 'vm', id: 'a', tab: 'overview', port: 0 });
});
