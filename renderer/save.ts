/** Gives the user a text as a file: the browser's (and Electron's) own download, which asks where or uses the folder the user set. */
export function saveText(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has taken its own reference by the next turn in every engine, but Firefox reads the URL late.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
