/** The built-in guest "Corner": a small 64-bit operating system whose source is in src/ and whose built image is committed beside it. */

/** Where the image is: bundlers recognize this form and carry the file along. */
const IMAGE = new URL('./image/corner.elf', import.meta.url);

/**
 * The bytes of the built-in guest: an ELF64 file with a multiboot-1 header whose address fields are valid (flag 16).
 * Reads from disk under Node and fetches in a browser; throws what those throw if the file is missing.
 */
export async function builtinGuest(): Promise<Uint8Array> {
  if (IMAGE.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return new Uint8Array(await readFile(IMAGE));
  }
  const response = await fetch(IMAGE);
  if (!response.ok) throw new Error(`The built-in guest could not be loaded: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
