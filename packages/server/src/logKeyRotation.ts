import { Ed25519Public } from "@snug/protocol";
import { askControl } from "./control.ts";
import { DirectoryLog } from "./directoryLog.ts";
import { findFolder, isInUse, openFolder } from "./folder.ts";
import { readLogKeys, settleLogKeys, stageLogKey } from "./logKey.ts";
import { Restoring } from "./restoring.ts";
import { StartError } from "./startError.ts";
import { SqliteStore } from "./store/sqliteStore.ts";

export const rotateCommand = "rotate-log-key";

/**
 * Puts a new log key into office, in this order: the new key is durable beside the one in office; the leaf that appoints
 * it and the checkpoint it signs are durable; the key before is overwritten. Cut short anywhere, the next start finds
 * by the log which of the two is in office (I28). Throws SnugError `unavailable` while a restored server waits.
 */
export async function rotateLogKey(of: {
  readonly log: DirectoryLog;
  readonly restoring: Restoring;
  readonly keys: string;
}): Promise<Ed25519Public> {
  of.restoring.mustTakeChanges();
  return await of.log.rotate({
    stage: () => stageLogKey(of.keys),
    settle: (inOffice) => settleLogKeys(of.keys, inOffice),
    now: Date.now(),
  });
}

/**
 * A new log key for a data folder, from a process of the same person: through the server that runs on it, or alone.
 * Throws StartError.
 */
export async function requestLogKeyRotation(data: string): Promise<Ed25519Public> {
  const { root } = await findFolder(data);
  if (isInUse(root)) return Ed25519Public.parse((await askControl(root, rotateCommand)).logKey);
  using folder = await openFolder(data, () => Promise.reject(new StartError("the data folder is gone")));
  const { keys, database } = folder.paths;
  await using store = new SqliteStore(database);
  const log = await DirectoryLog.open(store, await readLogKeys(keys));
  await settleLogKeys(keys, log.logPublic);
  const restoring = await Restoring.open(store, log, () => Date.now());
  return await rotateLogKey({ log, restoring, keys });
}
