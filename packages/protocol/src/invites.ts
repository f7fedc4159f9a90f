import { z } from "zod";
import { decodeDeterministicCbor, encodeCbor } from "./cbor.ts";
import { SnugError } from "./errors.ts";
import { AccountId, fromBase64url, Hash, ServerId, toBase64url } from "./ids.ts";
import { Ed25519Public } from "./statements.ts";

/** What an invite's fragment says (DESIGN 17). The fragment never reaches the server. */
export const Invite = z.strictObject({
  version: z.literal(1),
  /** Origins, https first; the setup link may name http://localhost. */
  addresses: z
    .array(z.string().regex(/^https?:\/\/[^/\s]{1,255}$/))
    .min(1)
    .max(8),
  server: ServerId,
  logKey: Ed25519Public,
  /** SHA-256 of the TLS authority's certificate (DER); null where a public authority vouches. */
  authority: Hash.nullable(),
  /** The newest checkpoint the inviter knows. */
  checkpoint: z.string().max(1024),
  /** null in the setup link. */
  inviter: AccountId.nullable(),
  secret: z.instanceof(Uint8Array).refine((value) => value.length === 16),
  once: z.boolean(),
});
export type Invite = z.infer<typeof Invite>;

/** Path of the page that takes an invite; one for both kinds. */
export const invitePath = "/join";

/** `https://host:port/join#…`, on the invite's first address. */
export function encodeInviteLink(invite: Invite): string {
  return `${invite.addresses[0]}${invitePath}#${toBase64url(encodeCbor(invite))}`;
}

/** Throws SnugError `invite-invalid`. Takes the whole link or the fragment alone. */
export function decodeInviteLink(link: string): Invite {
  const fragment = link.trim().slice(link.trim().indexOf("#") + 1);
  try {
    if (fragment.length > 4096) throw new RangeError("too long");
    return Invite.parse(decodeDeterministicCbor(fromBase64url(fragment)));
  } catch (cause) {
    throw new SnugError(
      "invite-invalid",
      "this is not a whole Snug link; copy it again from its first letter to its last",
      { cause },
    );
  }
}
