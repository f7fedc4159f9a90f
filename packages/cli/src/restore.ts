import { resolve } from "node:path";
import { adoptFolder, finishRestoring } from "@snug/server";
import type { Output } from "./output.ts";

/** Heals a data folder whose database was put back by hand: its clients come back to it. */
export async function adopt(data: string, output: Output): Promise<void> {
  const backup = new Date(await adoptFolder(resolve(data), Date.now())).toISOString();
  await output.data(
    { adopted: resolve(data), backup },
    `The server is restored as of ${backup}. Start it: each device that comes brings back what it lacks.`,
  );
}

/** Waits no longer for devices that have not come back. */
export async function finish(data: string, output: Output): Promise<void> {
  await finishRestoring(resolve(data));
  await output.data(
    { finished: resolve(data) },
    "The server waits no longer for devices that have not come back (a running one within 20 s).",
  );
}
