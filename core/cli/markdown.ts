/** Tables in Markdown, and their places in a document. */

/** The first column is at the left, all others at the right. */
export const markdown = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** `text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced; undefined: it has no such place. */
export function putBetween(text: string, name: string, content: string): string | undefined {
  const [begin, stop] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(stop)];
  if (from < 0 || to < from) return undefined;
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}
