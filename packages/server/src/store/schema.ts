import { DatabaseSync } from "node:sqlite";
import type { Incarnation } from "@snug/protocol";
import { StartError } from "../startError.ts";

/** Raised with every change of the tables; a database of a higher one is refused. */
const schemaVersion = 2;

/** Whose letters an account does not take. */
const blocks = `
CREATE TABLE blocks (
  account TEXT NOT NULL, blocked TEXT NOT NULL, PRIMARY KEY (account, blocked)) WITHOUT ROWID;
`;

/** What leads from one version to the next: the version that it leads to, and what is new in it. */
const steps: readonly (readonly [version: number, changes: string])[] = [[2, blocks]];

// Rows lie in the order in which they came (a clustered key would cost four times as much); bodies apart, because the
// record against doubles outlives them.
const tables = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE statements (
  idx INTEGER PRIMARY KEY, account TEXT NOT NULL, statement BLOB NOT NULL, inbox TEXT, accepted INTEGER NOT NULL);
CREATE INDEX statements_by_account ON statements (account);
CREATE TABLE accounts (account TEXT PRIMARY KEY, inbox TEXT NOT NULL UNIQUE, recovery BLOB NOT NULL);
CREATE TABLE devices (device TEXT PRIMARY KEY, account TEXT NOT NULL, active INTEGER NOT NULL);
CREATE INDEX devices_by_account ON devices (account);
CREATE TABLE streams (
  id INTEGER PRIMARY KEY, stream TEXT NOT NULL UNIQUE, account TEXT NOT NULL,
  head INTEGER NOT NULL, head_hash TEXT NOT NULL, delivered INTEGER NOT NULL,
  waiting_rows INTEGER NOT NULL, waiting_bytes INTEGER NOT NULL);
CREATE TABLE rows (
  id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, incarnation TEXT NOT NULL,
  kind TEXT NOT NULL, account TEXT NOT NULL, device TEXT NOT NULL, message TEXT NOT NULL, counter INTEGER NOT NULL,
  generation INTEGER, epoch INTEGER, sealed_hash TEXT NOT NULL, size INTEGER NOT NULL, accepted INTEGER NOT NULL,
  expires INTEGER, previous TEXT NOT NULL, row_hash TEXT NOT NULL);
CREATE UNIQUE INDEX rows_by_seq ON rows (stream, seq);
CREATE UNIQUE INDEX rows_by_message ON rows (message, device, stream);
CREATE TABLE bodies (row INTEGER PRIMARY KEY, accepted INTEGER NOT NULL, expires INTEGER, sealed BLOB NOT NULL);
CREATE INDEX bodies_by_time ON bodies (accepted);
CREATE INDEX bodies_by_end ON bodies (expires) WHERE expires IS NOT NULL;
CREATE TABLE counters (
  device TEXT NOT NULL, stream INTEGER NOT NULL, counter INTEGER NOT NULL, PRIMARY KEY (device, stream)) WITHOUT ROWID;
CREATE TABLE cursors (
  device TEXT NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (device, stream)) WITHOUT ROWID;
CREATE TABLE invites (
  hash TEXT PRIMARY KEY, account TEXT, uses_left INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL);
CREATE TABLE passes (
  hash TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, device TEXT NOT NULL, title TEXT,
  opened INTEGER, expires INTEGER NOT NULL);
CREATE INDEX passes_by_device ON passes (device);
${blocks}`;

/** Makes the tables of a new data folder. */
export function makeDatabase(path: string, incarnation: Incarnation): void {
  const database = openDatabase(path);
  try {
    database.exec(`BEGIN; ${tables} PRAGMA user_version=${schemaVersion};`);
    database.prepare("INSERT INTO meta (key, value) VALUES ('incarnation', ?)").run(incarnation);
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}

/**
 * Brings the database of an older version up to date, each step in one transaction with its number: whatever ends the
 * process, the next start goes on from there. Throws StartError for a newer one, which is left as it is.
 */
export function upgradeDatabase(path: string): void {
  const database = openDatabase(path);
  try {
    const before = versionOf(database, path);
    for (const [version, changes] of steps) {
      if (version > before) database.exec(`BEGIN; ${changes} PRAGMA user_version=${version}; COMMIT`);
    }
  } finally {
    database.close();
  }
}

/** Throws StartError for a newer version than this program's. */
function versionOf(database: DatabaseSync, path: string): number {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
  if (version <= schemaVersion) return version;
  throw new StartError(
    `the database ${path} was made by a newer Snug (version ${version}, this one knows ${schemaVersion})`,
  );
}

/** Opens for writing: WAL, every commit fsynced before it returns. */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 5000 });
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;");
  return database;
}

/** Opens for reading, in a connection of its own; sees whatever is committed. Throws StartError for another version. */
export function openReader(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    if (versionOf(database, path) === schemaVersion) return database;
    throw new StartError(
      `the database ${path} was made by an older Snug; starting the server brings it up to date`,
    );
  } catch (cause) {
    database.close();
    throw cause;
  }
}
