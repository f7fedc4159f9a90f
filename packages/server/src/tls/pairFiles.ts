import { readFile, rename, writeFile } from "node:fs/promises";
import type { Pair } from "./identity.ts";

/** The files `path.crt` and `path.key`; undefined when one of them is missing. */
export async function readPair(path: string): Promise<Pair | undefined> {
  try {
    const [cert, key] = await Promise.all([readFile(`${path}.crt`, "utf8"), readFile(`${path}.key`, "utf8")]);
    return { cert, key };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}

/** The key first: a certificate without its key would look whole. */
export async function writePair(path: string, pair: Pair): Promise<void> {
  for (const [name, text] of [
    [`${path}.key`, pair.key],
    [`${path}.crt`, pair.cert],
  ] as const) {
    await writeFile(`${name}.new`, text, { mode: 0o600, flush: true });
    await rename(`${name}.new`, name);
  }
}
