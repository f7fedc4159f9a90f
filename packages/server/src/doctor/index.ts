import { stat } from "node:fs/promises";
import type { GivenFiles } from "../tls/givenFiles.ts";
import { checkCertificate } from "./certificate.ts";
import { checkDatabase, checkDisk, checkSpace, type FoundFolder, findDataFolder } from "./dataFolder.ts";
import type { Finding } from "./finding.ts";

export type { Finding } from "./finding.ts";

import {
  availableMemory,
  checkClock,
  checkDescriptors,
  checkFfmpeg,
  checkMemory,
  checkNode,
  descriptorLimit,
  isSynchronized,
} from "./machine.ts";
import { checkName, checkPort } from "./network.ts";

/** The server that is, or is to be: what `startServer` would be given. */
export interface Examined {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly files?: GivenFiles;
}

/**
 * Looks at everything that a server needs, beside a running one or before the first start; writes nothing but a file
 * of 256 KiB that it takes away again. Asks nobody outside but `name`, when there is one.
 */
export async function* examine(of: Examined): AsyncGenerator<Finding> {
  yield checkNode();
  yield checkMemory(await availableMemory());
  yield checkDescriptors(await descriptorLimit());
  const folder = await findDataFolder(of.data);
  yield checkClock({ synchronized: await isSynchronized(), behind: await behindWrites(folder) });
  yield await checkFfmpeg();
  yield folder.finding;
  yield await checkSpace(folder.existing);
  yield await checkDisk(folder.existing);
  if (folder.paths) yield checkDatabase(folder.paths);
  const { paths, running } = folder;
  const { cert, finding } = await checkCertificate({ paths, files: of.files, name: of.name });
  yield finding;
  yield await checkPort({ host: of.host, port: of.port, runsHere: running });
  yield await checkName({ name: of.name, port: of.port, running, cert });
}

/** ms by which the clock is behind the newest write of the database. */
async function behindWrites({ paths }: FoundFolder): Promise<number> {
  if (!paths) return 0;
  const written = await Promise.all(
    [paths.database, `${paths.database}-wal`].map((path) =>
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  return Math.max(...written) - Date.now();
}
