/** Opens a console in a window of its own: Electron opens it; a browser does it here. */
import { toCallError, useApi } from '../api.ts';
import { formatRoute } from '../router.ts';
import { useNoticesStore } from '../stores/notices.ts';

export async function openConsoleWindow(id: string, port: number): Promise<void> {
  const api = useApi();
  // A browser lets a page open a window only in the turn of the click: not after an answer has come.
  if (api.shell === 'browser') {
    open(
      `${location.pathname}${location.search}${formatRoute({ view: 'console', id, port })}`,
      `ringside-${id}-${port}`,
      'popup,width=860,height=560',
    );
    return;
  }
  try {
    await api.call('openConsole', { id, port });
  } catch (reason) {
    useNoticesStore().fail('', toCallError(reason).message);
  }
}
