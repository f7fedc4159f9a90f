import { DatabaseSync } from "node:sqlite";

/** The layout below. A newer file is refused; an older one would be migrated here. */
const schemaVersion = 1;
const schema = `
  CREATE TABLE files (
    stamp TEXT PRIMARY KEY,
    content TEXT,
    format INTEGER NOT NULL,
    media BLOB,
    problem TEXT,
    attempts INTEGER NOT NULL,
    seen INTEGER NOT NULL
  );
  CREATE TABLE outcomes (version TEXT PRIMARY KEY, outcome TEXT NOT NULL, seen INTEGER NOT NULL);
  CREATE TABLE titles (id TEXT PRIMARY KEY, key TEXT NOT NULL, contents TEXT NOT NULL, seen INTEGER NOT NULL);
  CREATE TABLE stills (version TEXT PRIMARY KEY, picture BLOB, seen INTEGER NOT NULL);
`;

/** What is known of a file's bytes, under its stamp. */
export interface FileRecord {
  /** Content fingerprint; null when not even that could be read. */
  readonly content: string | null;
  /** Why it can't be cut, in words; null = it can. */
  readonly problem: string | null;
}

/** A title's identity: survives renames by `contents`, changed bytes by `key`. */
export interface TitleRecord {
  readonly id: string;
  readonly key: string;
  /** Content fingerprints of its files. */
  readonly contents: readonly string[];
}

/** The persistent index: what was read once is not read again (VL4). All calls are synchronous: for a worker. */
export interface Records extends Disposable {
  /** undefined when these bytes were never read to the end in the present format. */
  file(stamp: string): FileRecord | undefined;
  media(stamp: string): Uint8Array | undefined;
  /** Notes that reading begins, and says how many earlier tries never came to an end. */
  begin(stamp: string): number;
  keepFile(stamp: string, record: FileRecord, media: Uint8Array | null): void;
  outcome(version: string): string | undefined;
  keepOutcome(version: string, outcome: string): void;
  titles(): TitleRecord[];
  keepTitle(title: TitleRecord): void;
  /** undefined: never tried; null: none can be made. */
  still(version: string): Uint8Array | null | undefined;
  /** {@link still} without its bytes: undefined, false when none can be made, true. */
  hasStill(version: string): boolean | undefined;
  keepStill(version: string, picture: Uint8Array | null): void;
  /** Marks what is in use, at most once a day, and forgets what was in nobody's use for `forgetAfter`. */
  sweep(used: { stamps: readonly string[]; versions: readonly string[]; ids: readonly string[] }): void;
}

const day = 86_400_000;
/** A disk may be away for a while; its index and its titles' ids wait for it. */
const forgetAfter = 90 * day;

/**
 * Opens or makes the index file. `format` stands for the index bytes: records of another format are read anew.
 * Throws an Error in words when the file can't be used.
 */
export function openRecords(path: string, options: { format: number; now: () => number }): Records {
  const database = openDatabase(path);
  const { format, now } = options;
  const get = <T>(sql: string): ((...values: (string | number)[]) => T | undefined) => {
    const statement = database.prepare(sql);
    return (...values) => statement.get(...values) as T | undefined;
  };
  const run = (sql: string): ((...values: (string | number | Uint8Array | null)[]) => void) => {
    const statement = database.prepare(sql);
    return (...values) => void statement.run(...values);
  };
  const file = get<FileRecord & { read: number }>(
    "SELECT content, problem, media IS NOT NULL OR problem IS NOT NULL AS read FROM files WHERE stamp = ? AND format = ?",
  );
  const media = get<{ media: Uint8Array | null }>("SELECT media FROM files WHERE stamp = ? AND format = ?");
  const begin = get<{ attempts: number }>(
    `INSERT INTO files (stamp, format, attempts, seen) VALUES (?, ?, 1, ?)
     ON CONFLICT (stamp) DO UPDATE SET format = excluded.format, media = NULL, problem = NULL,
       attempts = iif(format = excluded.format, attempts + 1, 1) RETURNING attempts`,
  );
  const keepFile = run("UPDATE files SET content = ?, problem = ?, media = ?, attempts = 0 WHERE stamp = ?");
  const outcome = get<{ outcome: string }>("SELECT outcome FROM outcomes WHERE version = ?");
  const keepOutcome = run("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)");
  const keepTitle = run("INSERT OR REPLACE INTO titles VALUES (?, ?, ?, ?)");
  const still = get<{ picture: Uint8Array | null }>("SELECT picture FROM stills WHERE version = ?");
  const stills = new Map<string, boolean>();
  for (const row of database.prepare("SELECT version, picture IS NOT NULL AS made FROM stills").iterate()) {
    stills.set(String(row.version), row.made === 1);
  }
  const keepStill = run("INSERT OR REPLACE INTO stills VALUES (?, ?, ?)");
  return {
    file: (stamp) => {
      const row = file(stamp, format);
      return row?.read === 1 ? { content: row.content, problem: row.problem } : undefined;
    },
    media: (stamp) => media(stamp, format)?.media ?? undefined,
    begin: (stamp) => (begin(stamp, format, now())?.attempts ?? 1) - 1,
    keepFile: (stamp, { content, problem }, bytes) => keepFile(content, problem, bytes, stamp),
    outcome: (version) => outcome(version)?.outcome,
    keepOutcome: (version, text) => keepOutcome(version, text, now()),
    titles: () => readTitles(database),
    keepTitle: ({ id, key, contents }) => keepTitle(id, key, JSON.stringify(contents), now()),
    still: (version) => still(version)?.picture,
    hasStill: (version) => stills.get(version),
    keepStill: (version, picture) => {
      keepStill(version, picture, now());
      stills.set(version, picture !== null);
    },
    sweep: (used) => sweep(database, used, now()),
    [Symbol.dispose]: () => database.close(),
  };
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
    if (version > schemaVersion) {
      throw new Error(`made by a newer version of Snug (${version} > ${schemaVersion})`);
    }
    // A lost last write costs reading a file once more, so the log need not be synced at each commit.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    if (version === 0) {
      database.exec(`BEGIN; ${schema} PRAGMA user_version = ${schemaVersion}; COMMIT;`);
    }
    return database;
  } catch (cause) {
    database.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${path}: ${why}`, { cause });
  }
}

function readTitles(database: DatabaseSync): TitleRecord[] {
  const rows = database.prepare("SELECT id, key, contents FROM titles ORDER BY seen DESC, id").all();
  return rows.map(({ id, key, contents }) => ({
    id: String(id),
    key: String(key),
    contents: JSON.parse(String(contents)) as string[],
  }));
}

function sweep(database: DatabaseSync, used: Parameters<Records["sweep"]>[0], now: number): void {
  const tables = [
    ["files", "stamp", used.stamps],
    ["outcomes", "version", used.versions],
    ["stills", "version", used.versions],
    ["titles", "id", used.ids],
  ] as const;
  database.exec("BEGIN");
  for (const [table, column, keys] of tables) {
    const mark = database.prepare(`UPDATE ${table} SET seen = ? WHERE ${column} = ? AND seen < ?`);
    for (const key of keys) mark.run(now, key, now - day);
    database.prepare(`DELETE FROM ${table} WHERE seen < ?`).run(now - forgetAfter);
  }
  database.exec("COMMIT");
}
