import type { Hash } from "@snug/protocol";
import { InvalidArgumentError } from "commander";

/** `home.example:10000`; `http://localhost:10000` for the same computer without TLS. The port is named: 443 is a proxy's. */
export function serverOrigin(text: string): string {
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `https://${text}`);
  const bare = url?.href === `${url?.origin}/`;
  const safe = url?.protocol === "https:" || url?.hostname === "localhost";
  if (url && bare && safe) return url.origin;
  throw new InvalidArgumentError("It must be HOST:PORT, or http://localhost:PORT.");
}

/** A certificate's SHA-256 as a server prints it, hex with or without colons. */
export function fingerprintHash(text: string): Hash {
  const hex = text.replaceAll(":", "");
  if (!/^[0-9a-f]{64}$/i.test(hex)) {
    throw new InvalidArgumentError("It must be a fingerprint as the server prints it.");
  }
  return Buffer.from(hex, "hex").toString("base64url") as Hash;
}
