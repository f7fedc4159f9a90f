// Bundled by browser-store.test.ts and run in a real browser's worker: IndexedDB is not in Node.
import { openBrowserStore } from "@snug/client/browser";
import { storeContract } from "./store-contract.ts";

let count = 0;

async function runCase(title: string): Promise<string> {
  const found = storeContract.find((one) => one.title === title);
  if (!found) return `no case is called ${title}`;
  const name = `store-${count++}`;
  try {
    await found.run({ open: () => openBrowserStore(name) });
    return "ok";
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  }
}

/** Everything that the database holds outside of Snug's key, as text: what a thief of the disk would search. */
async function dump(name: string): Promise<string> {
  const store = await openBrowserStore(name);
  const value = new TextEncoder().encode("a-very-secret-letter");
  await store.commit([{ table: "letters", key: "x:1", value }]);
  await store[Symbol.asyncDispose]();
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const all = await new Promise<Uint8Array[]>((resolve, reject) => {
    const request = database.transaction("records").objectStore("records").getAll();
    request.onsuccess = () => resolve(request.result as Uint8Array[]);
    request.onerror = () => reject(request.error);
  });
  database.close();
  return all.map((bytes) => String.fromCharCode(...bytes)).join("\n");
}

/** Exchanges two records behind the store's back and reads one. */
async function exchange(name: string): Promise<string> {
  const store = await openBrowserStore(name);
  const encode = (text: string) => new TextEncoder().encode(text);
  await store.commit([
    { table: "a", key: "1", value: encode("one") },
    { table: "a", key: "2", value: encode("two") },
  ]);
  await store[Symbol.asyncDispose]();
  const database = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
  });
  const records = database.transaction("records", "readwrite").objectStore("records");
  await new Promise<void>((resolve) => {
    const request = records.get(["a", "1"]);
    request.onsuccess = () => {
      const put = records.put(request.result, ["a", "2"]);
      put.onsuccess = () => resolve();
    };
  });
  database.close();
  await using again = await openBrowserStore(name);
  return again.get("a", "2").then(
    () => "read",
    (error: Error) => error.message,
  );
}

const suite = { runCase, dump, exchange };
export type Suite = typeof suite;
Object.assign(globalThis, suite);
