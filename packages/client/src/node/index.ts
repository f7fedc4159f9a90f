import type { Client } from "../api.ts";
import { createClient } from "../client.ts";
import { nodePlatform } from "./platform.ts";
import { openNodeStore } from "./store.ts";

export { nodePlatform, openNodeStore };

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
