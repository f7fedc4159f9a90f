import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeNewFolder, syncFolder } from "../folder.ts";
import { StartError } from "../startError.ts";
import { renewDatabase } from "./adopt.ts";
import { decryptAge } from "./age.ts";
import { checkContents, contentNames, type Manifest, manifestFile, parseManifest } from "./contents.ts";
import { unpackTar } from "./tar.ts";

/**
 * Makes a data folder out of a backup, with a new incarnation that waits for its devices (D18). It must not be there, or
 * be empty. Throws StartError, one clear line; then nothing is there.
 */
export async function restoreBackup(of: {
  readonly file: string;
  readonly data: string;
  /** The backup key, as it was shown. */
  readonly identity: string;
  readonly now: number;
}): Promise<Manifest> {
  const identity = identityIn(of.identity);
  await mustBeFile(of.file);
  let manifest: Manifest | undefined;
  await makeNewFolder(of.data, async ({ root, database, keys, tls }) => {
    await unpack(decryptAge(identity, createReadStream(of.file)), root);
    manifest = await readManifest(root);
    const server = await checkContents(root).catch((cause: Error) => {
      throw new StartError(`the backup can't be used: ${cause.message}`, { cause });
    });
    if (server !== manifest.server)
      throw new StartError("the backup can't be used: it holds another server's key");
    renewDatabase(database, { now: of.now, backup: manifest.made });
    await rm(join(root, manifestFile));
    for (const folder of [keys, tls]) await syncFolder(folder);
  });
  if (!manifest) throw new Error("a folder was made without being filled");
  return manifest;
}

/** The key among what was typed: age-keygen and printers leave comments around it. */
function identityIn(text: string): string {
  const found = text.split(/\s+/).find((word) => /^AGE-SECRET-KEY-1/i.test(word));
  if (found === undefined) throw new StartError("this is not a backup key (AGE-SECRET-KEY-1…)");
  return found;
}

async function mustBeFile(file: string): Promise<void> {
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    throw new StartError(`the backup ${file} can't be read (${cause.code})`, { cause });
  });
  if (!found.isFile()) throw new StartError(`${file} is not a file`);
}

async function unpack(archive: AsyncIterable<Uint8Array>, root: string): Promise<void> {
  for await (const { name, content } of unpackTar(archive)) {
    if (!contentNames.test(name))
      throw new StartError(`the backup holds a file that no backup has: ${JSON.stringify(name)}`);
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, "wx", 0o600);
    try {
      for await (const piece of content) await file.writeFile(piece);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

async function readManifest(root: string): Promise<Manifest> {
  try {
    return parseManifest(await readFile(join(root, manifestFile), "utf8"));
  } catch (cause) {
    throw new StartError("the backup does not say what it is of, or is of a newer Snug", { cause });
  }
}
