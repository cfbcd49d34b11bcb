/**
 * xterm under `style-src 'self'`.
 *
 * xterm writes its colours and cell sizes into <style> elements (DomRenderer, Viewport) and true colours into `style` attributes
 * (DomRendererRowFactory); a content security policy without 'unsafe-inline' refuses both. Constructed style sheets and the CSSOM are
 * not subject to it, so the two ways in are turned into those. The option `documentOverride` would be the place, but @xterm/xterm 6.0.0
 * hands `window.document` on in two of the three places (CoreBrowserTerminal.open, the constructor of DomRenderer).
 */
import type { Terminal } from '@xterm/xterm';

/** Stands in for a <style>: what is set as its text fills an adopted style sheet, which goes when the element does. */
function adoptingStyle(): HTMLElement {
  const element = document.createElement('span');
  element.hidden = true;
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', {
    set: (css: string) => sheet.replaceSync(css),
    get: () => '',
  });
  element.remove = () => {
    const at = document.adoptedStyleSheets.indexOf(sheet);
    if (at >= 0) document.adoptedStyleSheets.splice(at, 1);
    Element.prototype.remove.call(element);
  };
  return element;
}

/** Runs `open`, in which xterm makes its elements, with `document.createElement('style')` giving adopting ones. */
export function withAdoptedStyles<T>(open: () => T): T {
  const original = Document.prototype.createElement.bind(document);
  const replacement = (name: string, options?: ElementCreationOptions) => (name === 'style' ? adoptingStyle() : original(name, options));
  Object.defineProperty(document, 'createElement', { configurable: true, value: replacement });
  try {
    return open();
  } finally {
    // The own property goes; the one of Document.prototype shows again.
    delete (document as { createElement?: unknown }).createElement;
  }
}

/** What is reached of xterm's inside: the package is pinned, and the browser tests see it if this no longer fits. */
interface Inside {
  readonly _core?: { readonly _renderService?: { readonly _renderer?: { readonly value?: { _rowFactory?: { _addStyle?: unknown } } } } };
}

/** Where the DOM renderer is at work (no WebGL, or lost), cells of true colours get them through the CSSOM. */
export function styleCellsThroughCssom(terminal: Terminal): void {
  const factory = (terminal as unknown as Inside)._core?._renderService?._renderer?.value?._rowFactory;
  if (typeof factory?._addStyle !== 'function') return;
  factory._addStyle = (element: HTMLElement, style: string) => {
    element.style.cssText += style;
  };
}
