/** Entry of the browser's side: a classic script, so that it has run when the renderer's module starts. */
import { connect, type Socket } from './client.ts';

const address = new URL('socket', location.href);
address.protocol = 'ws:';
address.hash = '';
address.search = '';

Object.defineProperty(window, 'ringside', { value: connect(() => new WebSocket(address) as unknown as Socket), enumerable: true });
