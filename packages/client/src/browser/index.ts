import type { Client } from "../api.ts";
import { createClient } from "../client.ts";
import { browserPlatform } from "./platform.ts";
import { openBrowserStore } from "./store.ts";

export { openBrowserStore };

/**
 * The client of a page's worker; `origin` is the page's own. Throws SnugError `conflict` while another tab has it open,
 * `unavailable` where the browser keeps no data.
 */
export async function openBrowserClient({ origin }: { readonly origin: string }): Promise<Client> {
  const store = await openBrowserStore("snug");
  try {
    return await createClient({ store, platform: browserPlatform(origin) });
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
