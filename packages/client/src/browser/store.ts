import type { AccountKeys } from "@snug/crypto/sealing";
import { encodeCbor, labels, SnugError } from "@snug/protocol";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { type Change, type Range, type Store, StoreError } from "../store.ts";

const storeVersion = 1;
const nonceLength = 12;
/** A tab that was just closed lets go of the store within this. ms */
const patience = 1_000;

interface Schema extends DBSchema {
  /** [table, key] → nonce ‖ AES-256-GCM of the record. */
  records: { key: [string, string]; value: Uint8Array };
  /** "seal": the store's own key; "account": the account's keys. CryptoKeys that can't be read out. */
  keys: { key: string; value: CryptoKey | AccountKeys };
}

/**
 * The store of a browser client: IndexedDB, each record sealed under a key that the browser doesn't give out.
 * Throws SnugError `conflict` while another tab owns it, `upgrade` for a newer version's, `unavailable` without storage.
 */
export async function openBrowserStore(name: string): Promise<Store> {
  const release = await lock(`${name} store`);
  try {
    const database = await openDB<Schema>(name, storeVersion, {
      upgrade(fresh) {
        fresh.createObjectStore("records");
        fresh.createObjectStore("keys");
      },
    });
    return new BrowserStore(database, await sealKey(database), release);
  } catch (cause) {
    release();
    if (cause instanceof DOMException && cause.name === "VersionError") {
      throw new SnugError("upgrade", "a newer version of Snug has used this browser; reload the page", {
        cause,
      });
    }
    throw new SnugError("unavailable", `this browser keeps no data for this page: ${String(cause)}`, {
      cause,
    });
  }
}

/** Held until the returned function is called or the worker ends. */
async function lock(name: string): Promise<() => void> {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: taken, resolve, reject } = Promise.withResolvers<void>();
  const signal = AbortSignal.timeout(patience);
  navigator.locks
    .request(name, { signal }, () => {
      resolve();
      return held;
    })
    .catch(reject);
  try {
    await taken;
  } catch (cause) {
    throw new SnugError("conflict", "another tab of this browser has Snug open", { cause });
  }
  return release;
}

async function sealKey(database: IDBPDatabase<Schema>): Promise<CryptoKey> {
  const kept = await database.get("keys", "seal");
  if (kept instanceof CryptoKey) return kept;
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
  await database.put("keys", key, "seal");
  return key;
}

class BrowserStore implements Store {
  readonly #database: IDBPDatabase<Schema>;
  readonly #release: () => void;
  #key: CryptoKey;

  constructor(database: IDBPDatabase<Schema>, key: CryptoKey, release: () => void) {
    this.#database = database;
    this.#key = key;
    this.#release = release;
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    const sealed = await this.#database.get("records", [table, key]);
    return sealed && this.#open(table, key, sealed);
  }

  async list(range: Range): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]> {
    const { table, from = "", until, most = Number.POSITIVE_INFINITY } = range;
    // An array sorts after every string, so [table, []] ends the table.
    const upper: [string, string] = [table, (until ?? []) as string];
    const bounds = IDBKeyRange.bound([table, from], upper, false, true);
    const found: { key: string; sealed: Uint8Array }[] = [];
    const transaction = this.#database.transaction("records");
    let cursor = await transaction.store.openCursor(bounds, range.newestFirst ? "prev" : "next");
    while (cursor && found.length < most) {
      found.push({ key: cursor.key[1], sealed: cursor.value });
      cursor = await cursor.continue();
    }
    return Promise.all(
      found.map(async ({ key, sealed }) => ({ key, value: await this.#open(table, key, sealed) })),
    );
  }

  async commit(changes: readonly Change[]): Promise<void> {
    // Sealed before the transaction opens: it would end by itself while the cipher is at work.
    const sealed = await Promise.all(
      changes.map(async ({ table, key, value }) => ({
        place: [table, key] as [string, string],
        value: value && (await this.#seal(table, key, value)),
      })),
    );
    const transaction = this.#database.transaction("records", "readwrite", { durability: "strict" });
    const write = async ({ place, value }: (typeof sealed)[number]) =>
      value ? transaction.store.put(value, place) : transaction.store.delete(place);
    try {
      await Promise.all(sealed.map(write));
    } catch (error) {
      // What was written before the failure would be kept otherwise.
      transaction.abort();
      await transaction.done.catch(() => undefined);
      throw isOfDisk(error) ? StoreError.ofDisk(error) : error;
    }
    await transaction.done.catch((error: unknown) => {
      throw isOfDisk(error) ? StoreError.ofDisk(error) : error;
    });
  }

  /** A browser tells nothing of its files: what they still hold is sealed. */
  scrub(): Promise<void> {
    return Promise.resolve();
  }

  /** The bytes are let go: this browser keeps keys that can be used but not read out. */
  async saveKeys(keys: AccountKeys): Promise<void> {
    const transaction = this.#database.transaction("keys", "readwrite", { durability: "strict" });
    await Promise.all([transaction.store.put(keys, "account"), transaction.done]);
  }

  async loadKeys(): Promise<AccountKeys | undefined> {
    const keys = await this.#database.get("keys", "account");
    return keys && !(keys instanceof CryptoKey) ? keys : undefined;
  }

  async erase(): Promise<void> {
    const transaction = this.#database.transaction(["records", "keys"], "readwrite", {
      durability: "strict",
    });
    await Promise.all([
      transaction.objectStore("records").clear(),
      transaction.objectStore("keys").clear(),
      transaction.done,
    ]);
    // Whatever the disk still holds of the records opens to no key any more.
    this.#key = await sealKey(this.#database);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.close();
    this.#release();
  }

  async #seal(table: string, key: string, value: Uint8Array): Promise<Uint8Array> {
    const nonce = crypto.getRandomValues(new Uint8Array(nonceLength));
    const sealed = await crypto.subtle.encrypt(cipher(table, key, nonce), this.#key, own(value));
    const whole = new Uint8Array(nonceLength + sealed.byteLength);
    whole.set(nonce);
    whole.set(new Uint8Array(sealed), nonceLength);
    return whole;
  }

  async #open(table: string, key: string, sealed: Uint8Array): Promise<Uint8Array> {
    const nonce = own(sealed.subarray(0, nonceLength));
    const body = own(sealed.subarray(nonceLength));
    try {
      return new Uint8Array(await crypto.subtle.decrypt(cipher(table, key, nonce), this.#key, body));
    } catch (cause) {
      throw new SnugError("internal", `the record ${table}/${key} was changed outside of Snug`, { cause });
    }
  }
}

function isOfDisk(error: unknown): error is DOMException {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

/** The place of a record is authenticated with it: two records can't be exchanged. */
function cipher(table: string, key: string, nonce: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv: nonce, additionalData: encodeCbor([labels.storeSeal, table, key]) };
}

function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
