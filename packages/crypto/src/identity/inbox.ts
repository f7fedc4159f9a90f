import {
  type AccountId,
  encodeCbor,
  fromBase64url,
  labels,
  StreamId,
  sha256,
  toBase64url,
} from "@snug/protocol";

/** The id of an account's inbox: it follows from the account's, so that nobody's word is needed for it (I30). */
export async function inboxOf(account: AccountId): Promise<StreamId> {
  const hash = await sha256(encodeCbor([labels.inbox, account]));
  return StreamId.parse(toBase64url(fromBase64url(hash).subarray(0, 16)));
}
