/**
 * xterm under `style-src 'self'`.
 *
 * xterm writes its colours and cell sizes into <style> elements (DomRenderer, Viewport) and true colours into `style` attributes
 * (DomRendererRowFactory); a content security policy without 'unsafe-inline' refuses both. Constructed style sheets and the CSSOM are
 * not subject to it. So the elements that xterm makes are given it with the two ways in turned into those:
 *   - a <style> becomes an inert element whose `textContent` fills an adopted style sheet;
 *   - a <span> sets its `style` attribute through `style.cssText`.
 * xterm's option `documentOverride` hands such a document to the DOM renderer. The viewport always uses `window.document`
 * (@xterm/xterm 6.0.0, CoreBrowserTerminal.open), so `createElement` is also shadowed there, while `open` runs and no longer.
 */

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

function spanThroughCssom(): HTMLElement {
  const element = document.createElement('span');
  element.setAttribute = (name: string, value: string) => {
    if (name === 'style') element.style.cssText = value;
    else Element.prototype.setAttribute.call(element, name, value);
  };
  return element;
}

/** A document for `ITerminalOptions.documentOverride`. */
export function cspDocument(): Document {
  const createElement = (name: string, options?: ElementCreationOptions) => {
    if (name === 'style') return adoptingStyle();
    if (name === 'span') return spanThroughCssom();
    return document.createElement(name, options);
  };
  return new Proxy(document, {
    get(target, key) {
      if (key === 'createElement') return createElement;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Runs `open` with `document.createElement('style')` giving adopting elements. */
export function withAdoptedStyles<T>(open: () => T): T {
  const original = document.createElement.bind(document);
  const replacement = (name: string, options?: ElementCreationOptions) => (name === 'style' ? adoptingStyle() : original(name, options));
  Object.defineProperty(document, 'createElement', { configurable: true, value: replacement });
  try {
    return open();
  } finally {
    // The own property goes; the one of Document.prototype shows again.
    delete (document as { createElement?: unknown }).createElement;
  }
}
