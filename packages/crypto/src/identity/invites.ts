import { type Hash, labels, sha256 } from "@snug/protocol";
import { derive } from "./derive.ts";

/** An invite's secret → the 32 bytes that its holder shows to the server to be let in. */
export function admitOf(secret: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return derive(secret, labels.inviteAdmit);
}

/** What the server keeps of an admit value. */
export function admitHash(admit: Uint8Array): Promise<Hash> {
  return sha256(admit);
}
