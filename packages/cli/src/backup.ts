import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { adoptFolder, backUp, finishRestoring, restoreBackup } from "@snug/server";
import { CommandError, exitCodes } from "./exit.ts";
import { readInput } from "./input.ts";
import type { Output } from "./output.ts";

const next = "Start it: each device that comes brings back what it lacks (docs/guides/backup.md).";

/** Makes a backup. The key that opens it and all later ones goes to stdout, once. Throws StartError. */
export async function backup(data: string, file: string, output: Output): Promise<void> {
  const show = async (key: string): Promise<void> => {
    process.stderr.write("This key opens all backups of this server. It is shown once; keep it elsewhere:\n");
    await output.data({ key }, key);
  };
  const made = await backUp({ data: resolve(data), file, now: Date.now(), show });
  process.stderr.write(`${made.file}: ${made.bytes} bytes, encrypted\n`);
}

/** Makes a data folder out of a backup. Throws StartError; CommandError 1 for a key file that can't be read. */
export async function restore(
  of: { readonly file: string; readonly data: string; readonly key?: string },
  output: Output,
): Promise<void> {
  const identity = of.key === undefined ? await askForKey() : await readKey(of.key);
  const data = resolve(of.data);
  const { made } = await restoreBackup({ file: of.file, data, identity, now: Date.now() });
  const backup = new Date(made).toISOString();
  await output.data({ restored: data, backup }, `${data} is the server as of ${backup}. ${next}`);
}

async function askForKey(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write("The backup key, then Enter and Ctrl-D: ");
  return readInput();
}

async function readKey(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CommandError(exitCodes.failed, `the key file ${file} can't be read (${code})`, { cause });
  }
}

/** Heals a data folder whose database was put back by hand: its clients come back to it. */
export async function adopt(data: string, output: Output): Promise<void> {
  const backup = new Date(await adoptFolder(resolve(data), Date.now())).toISOString();
  await output.data({ adopted: resolve(data), backup }, `The server is restored as of ${backup}. ${next}`);
}

/** Waits no longer for devices that have not come back. */
export async function finish(data: string, output: Output): Promise<void> {
  await finishRestoring(resolve(data));
  await output.data(
    { finished: resolve(data) },
    "The server waits no longer for devices that have not come back (a running one within 20 s).",
  );
}
