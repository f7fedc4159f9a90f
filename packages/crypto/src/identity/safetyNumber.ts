import { type AccountId, encodeCbor, type KeyId, labels } from "@snug/protocol";

/** What two people compare of an account: who it is, the key that outlives rotations, and the key that speaks for it now. */
export interface SafetyParty {
  readonly id: AccountId;
  readonly recoveryKeyId: KeyId;
  readonly signingKeyId: KeyId;
}

/**
 * 60 digits in 12 groups of five, the same for both. Each group is five bytes of SHA-512 over label and both parties
 * in the order of their account ids, modulo 100,000.
 */
export async function safetyNumber(a: SafetyParty, b: SafetyParty): Promise<string> {
  const parties = [a, b].sort((x, y) => (x.id < y.id ? -1 : 1));
  const input = parties.map(({ id, recoveryKeyId, signingKeyId }) => [id, recoveryKeyId, signingKeyId]);
  const digest = new Uint8Array(
    await crypto.subtle.digest("SHA-512", encodeCbor([labels.safetyNumber, input])),
  );
  const groups = Array.from({ length: 12 }, (_, group) => {
    const value = digest.subarray(group * 5, group * 5 + 5).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(value % 100_000).padStart(5, "0");
  });
  return groups.join(" ");
}
