import { type Hash, type ServerId, SnugError } from "@snug/protocol";
import { NetworkError } from "./api.ts";
import { Link } from "./link.ts";
import type { Address, Platform } from "./platform.ts";
import { put, type Records } from "./records.ts";

/** Where a server is to be found from now on. */
export interface Reach {
  /** `https://host:port`, or `http://localhost:port`. */
  readonly origin: string;
  /** SHA-256 of its TLS authority's certificate; null: the one that this device knows, or else the system's list. */
  readonly authority: Hash | null;
}

/**
 * Another way to the server that this device has joined (C46). Nothing is kept unless that server answers there. Throws
 * SnugError `unauthenticated` (nothing was joined), `forbidden` (another server, another certificate); NetworkError.
 */
export async function reachAt(
  of: { readonly platform: Platform; readonly records: Records },
  { origin, authority }: Reach,
): Promise<void> {
  const { platform, records } = of;
  const room = await records.get("room", "room");
  if (!room) throw new SnugError("unauthenticated", "this device has not joined a server yet");
  const asked = {
    origin,
    authority: authority === null ? room.authority : await platform.pin(origin, authority),
  };
  const greeted = await greeting(platform, asked).catch((error: unknown) => {
    // It may have got a public certificate since. One that was asked for by name is not given up.
    if (!(error instanceof NetworkError) || authority !== null || room.authority === null) throw error;
    return greeting(platform, { origin, authority: null }).catch(() => {
      throw error;
    });
  });
  if (greeted.server !== room.server) {
    throw new SnugError("forbidden", `another server answers at ${origin}`);
  }
  const { address } = greeted;
  await records.commit([put("room", "room", { ...room, ...address })]);
}

/** Who answers there. */
async function greeting(
  platform: Platform,
  address: Address,
): Promise<{ readonly server: ServerId; readonly address: Address }> {
  const link = new Link(platform, address, async () => undefined);
  try {
    return { server: (await link.hello).server, address };
  } finally {
    link.close("its greeting was all that was asked for");
  }
}
