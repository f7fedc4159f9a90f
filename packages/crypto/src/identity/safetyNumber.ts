import { type AccountId, type Ed25519Public, encodeCbor, labels } from "@snug/protocol";
import { keyIdOf } from "./keys.ts";

/** What two people compare: who they are, and the key that outlives devices and rotations. */
export interface SafetyParty {
  readonly account: AccountId;
  readonly recovery: Ed25519Public;
}

/**
 * 60 digits in 12 groups of five, the same for both. Each group is five bytes of SHA-512 over label and both parties
 * in the order of their account ids, modulo 100,000.
 */
export async function safetyNumber(a: SafetyParty, b: SafetyParty): Promise<string> {
  const parties = [a, b].sort((x, y) => (x.account < y.account ? -1 : 1));
  const input = [];
  for (const { account, recovery } of parties) input.push([account, await keyIdOf(recovery)]);
  const digest = new Uint8Array(
    await crypto.subtle.digest("SHA-512", encodeCbor([labels.safetyNumber, input])),
  );
  const groups = Array.from({ length: 12 }, (_, group) => {
    const value = digest.subarray(group * 5, group * 5 + 5).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(value % 100_000).padStart(5, "0");
  });
  return groups.join(" ");
}
