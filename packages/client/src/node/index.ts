import type { Client } from "../api.ts";
import { createClient } from "../client.ts";
import { type Reach, reachAt } from "../reaching.ts";
import { Records } from "../records.ts";
import { nodePlatform } from "./platform.ts";
import { openNodeStore } from "./store.ts";

export { nodePlatform, openNodeStore, type Reach };

/**
 * The client whose state lies in the folder `home` (made when it is not there). Throws SnugError `conflict` while
 * another process uses it.
 */
export async function openNodeClient({ home }: { readonly home: string }): Promise<Client> {
  const store = await openNodeStore(home);
  try {
    return await createClient({ store, platform: nodePlatform() });
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

/** The client in `home` reaches its server in another way from now on. Throws what {@link reachAt} does. */
export async function reachServer(of: { readonly home: string; readonly reach: Reach }): Promise<void> {
  await using store = await openNodeStore(of.home);
  await reachAt({ platform: nodePlatform(), records: new Records(store) }, of.reach);
}
