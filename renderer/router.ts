/**
 * Where the user is, in the address's hash: it survives a reload, and works from a file as well as from a server.
 *   #/                     welcome, or the first VM
 *   #/vm/ID/TAB            a VM
 *   #/lab                  the technique lab
 *   #/console/ID/PORT      a console in its own window
 */
import { readonly, ref } from 'vue';

export const TABS = ['overview', 'console', 'cpu', 'kinds', 'logs', 'settings'] as const;
export type Tab = (typeof TABS)[number];

export type Route =
  | { readonly view: 'home' }
  | { readonly view: 'lab' }
  | { readonly view: 'vm'; readonly id: string; readonly tab: Tab; readonly port: number }
  | { readonly view: 'console'; readonly id: string; readonly port: number };

const portOf = (text: string | undefined): number => (text !== undefined && /^[0-3]$/.test(text) ? Number(text) : 0);

export function parseRoute(hash: string): Route {
  const [view, id, third, fourth] = hash
    .replace(/^#?\/?/, '')
    .split('/')
    .map(decode);
  if (view === 'console' && id) return { view, id, port: portOf(third) };
  if (view === 'vm' && id) {
    const tab = TABS.find((t) => t === third) ?? 'overview';
    return { view, id, tab, port: portOf(fourth) };
  }
  return { view: view === 'lab' ? 'lab' : 'home' };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

export function formatRoute(route: Route): string {
  switch (route.view) {
    case 'home':
      return '#/';
    case 'lab':
      return '#/lab';
    case 'console':
      return `#/console/${encodeURIComponent(route.id)}/${route.port}`;
    case 'vm':
      return `#/vm/${encodeURIComponent(route.id)}/${route.tab}${route.port > 0 ? `/${route.port}` : ''}`;
  }
}

const current = ref<Route>({ view: 'home' });

export const route = readonly(current);

/** Follows the address from now on. */
export function startRouter(): void {
  const read = () => {
    current.value = parseRoute(location.hash);
  };
  addEventListener('hashchange', read);
  read();
}

export function go(to: Route): void {
  // Replacing keeps the back button out of a desktop app's way: there is no history to walk here.
  history.replaceState(null, '', formatRoute(to));
  current.value = to;
}
