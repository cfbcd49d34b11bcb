/** Colours of charts come from the theme's custom properties: canvases cannot read them by themselves. */
export function cssColor(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}
