import { existsSync } from "node:fs";
import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { type AccountKeys, type ExportedKeys, importAccountKeys } from "@snug/crypto/sealing";
import { decodeCbor, encodeCbor, KeyId, SnugError } from "@snug/protocol";
import { z } from "zod";
import { type Change, type Range, type Store, StoreError } from "../store.ts";

/** SQLite's primary result codes READONLY, IOERR, FULL, CANTOPEN, and the system's own: what a disk says no with. */
const diskCodes: readonly unknown[] = [8, 10, 13, 14, "ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG"];

/** Raised when a store of this version can't be read by the former one; a newer one is refused. */
const storeVersion = 1;

const bytes = z.instanceof(Uint8Array);
const KeyFile = z.strictObject({
  version: z.literal(1),
  signing: bytes,
  encryption: z.array(z.strictObject({ keyId: KeyId, key: bytes })),
  device: bytes,
});

/**
 * The store of a Node client: SQLite and a key file in a folder that only its owner can enter.
 * Throws SnugError `conflict` while another process uses the folder, `upgrade` for a newer version's folder; StoreError.
 */
export async function openNodeStore(folder: string): Promise<Store> {
  const home = resolve(folder);
  try {
    await makeFolder(home);
    const { uid, mode } = await stat(home);
    if (uid === process.getuid?.() && (mode & 0o077) !== 0) await chmod(home, 0o700);
    return new NodeStore(home);
  } catch (cause) {
    if (cause instanceof SnugError || !(cause instanceof Error)) throw cause;
    if (isFull(cause)) throw StoreError.ofDisk(cause);
    throw new StoreError(`the folder ${home} can't be a home (${cause.message}): name another one`, {
      cause,
    });
  }
}

/** Level by level: Node's own recursion never ends where a folder is there and takes no others, as in /proc. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const above = dirname(folder);
    if (code !== "ENOENT" || existsSync(above)) throw error;
    await makeFolder(above);
    await mkdir(folder, { mode: 0o700 });
  }
}

class NodeStore implements Store {
  readonly #folder: string;
  readonly #database: DatabaseSync;

  constructor(folder: string) {
    this.#folder = folder;
    this.#database = openDatabase(join(folder, "client.db"));
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    const row = this.#database
      .prepare("SELECT value FROM records WHERE kind = ? AND key = ?")
      .get(table, key);
    return row?.value as Uint8Array | undefined;
  }

  async list(range: Range): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]> {
    const conditions = ["kind = ?"];
    const values: SQLInputValue[] = [range.table];
    if (range.from !== undefined) {
      conditions.push("key >= ?");
      values.push(range.from);
    }
    if (range.until !== undefined) {
      conditions.push("key < ?");
      values.push(range.until);
    }
    const order = range.newestFirst ? "DESC" : "ASC";
    const sql = `SELECT key, value FROM records WHERE ${conditions.join(" AND ")} ORDER BY key ${order} LIMIT ?`;
    const rows = this.#database.prepare(sql).all(...values, range.most ?? -1);
    return rows as unknown as { key: string; value: Uint8Array }[];
  }

  async commit(changes: readonly Change[]): Promise<void> {
    const write = this.#database.prepare(
      "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
    );
    const erase = this.#database.prepare("DELETE FROM records WHERE kind = ? AND key = ?");
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      for (const { table, key, value } of changes) {
        if (value) write.run(table, key, value);
        else erase.run(table, key);
      }
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw ofDisk(error);
    }
  }

  async scrub(): Promise<void> {
    // Erased records are overwritten (secure_delete), but in the log first.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  async saveKeys(_keys: AccountKeys, exportable: ExportedKeys): Promise<void> {
    const { signing, encryption, device } = exportable;
    const file = encodeCbor({ version: 1, signing, encryption: [...encryption], device });
    try {
      await replaceDurably(this.#keyFile, file);
    } catch (error) {
      throw ofDisk(error);
    }
  }

  async loadKeys(): Promise<AccountKeys | undefined> {
    const file = await readFile(this.#keyFile).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (!file) return undefined;
    const parsed = KeyFile.safeParse(decodeCbor(file));
    if (!parsed.success)
      throw new SnugError("internal", `${this.#keyFile} is not a key file of this version`);
    const { signing, encryption, device } = parsed.data;
    const own = (key: Uint8Array) => new Uint8Array(key);
    return importAccountKeys({
      signing: own(signing),
      encryption: encryption.map(({ keyId, key }) => ({ keyId, key: own(key) })),
      device: own(device),
    });
  }

  async erase(): Promise<void> {
    await rm(this.#keyFile, { force: true });
    await rm(`${this.#keyFile}.new`, { force: true });
    this.#database.exec("DELETE FROM records");
    await this.scrub();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  get #keyFile(): string {
    return join(this.#folder, "keys");
  }
}

async function replaceDurably(path: string, content: Uint8Array): Promise<void> {
  const next = `${path}.new`;
  const file = await open(next, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  // The name is durable when its folder is.
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** No room left. Other refusals of an opening mean the folder. */
function isFull(error: Error): boolean {
  return ("errcode" in error && error.errcode === 13) || ("code" in error && error.code === "ENOSPC");
}

/** What the disk refuses, as such; anything else as it is. */
function ofDisk(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = "errcode" in error ? Number(error.errcode) & 255 : "code" in error ? error.code : undefined;
  return diskCodes.includes(code) ? StoreError.ofDisk(error) : error;
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Exclusive: a second process is refused at its first statement. secure_delete: what was erased is overwritten.
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA secure_delete = ON;
      BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS records (
        kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)
      ) STRICT, WITHOUT ROWID;
      COMMIT;
    `);
    const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
    if (version > storeVersion) {
      throw new SnugError(
        "upgrade",
        `this home was made by a newer version of Snug (store version ${version})`,
      );
    }
    if (version === 0) database.exec(`PRAGMA user_version = ${storeVersion}`);
    return database;
  } catch (cause) {
    database.close();
    const locked =
      cause instanceof Error && "errcode" in cause && (cause.errcode === 5 || cause.errcode === 261);
    if (!locked) throw cause;
    throw new SnugError("conflict", "another snug uses this home; end it first, or name another home", {
      cause,
    });
  }
}
