import type { Ed25519Public } from "@snug/protocol";
import { verifyEd25519 } from "./keys.ts";

/** Whether a device's key signed these bytes (`signInBytes` of the protocol). */
export function verifySignIn(of: {
  readonly key: Ed25519Public;
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
}): Promise<boolean> {
  return verifyEd25519(of.key, of.bytes as Uint8Array<ArrayBuffer>, of.signature as Uint8Array<ArrayBuffer>);
}
