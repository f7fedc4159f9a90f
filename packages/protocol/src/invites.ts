import { z } from "zod";
import { decodeDeterministicCbor, encodeCbor } from "./cbor.ts";
import { SnugError } from "./errors.ts";
import { AccountId, fromBase64url, Hash, ServerId, toBase64url } from "./ids.ts";
import { Ed25519Public } from "./statements.ts";

/** What an invite's fragment says (DESIGN 17). The fragment never reaches the server. */
export const Invite = z.strictObject({
  version: z.literal(1),
  /** Origins: https, or http on this computer alone, where nobody listens in between. */
  addresses: z
    .array(
      z
        .string()
        .regex(/^(https:\/\/[^/\s]{1,255}|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:[1-9]\d{0,4})?)$/),
    )
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

/**
 * The fragment's form: positions instead of names and bytes instead of text, since people pass links by hand and
 * cameras read them. The checkpoint's own server name and base64 are written back at decoding.
 */
const fragment = z.tuple([
  z.literal(1),
  z.array(z.string()),
  bytesOf(32),
  bytesOf(32),
  bytesOf(32).nullable(),
  z.tuple([z.int().nonnegative(), bytesOf(32), bytesOf(68)]),
  bytesOf(32).nullable(),
  bytesOf(16),
  z.boolean(),
]);

function bytesOf(length: number): z.ZodType<Uint8Array> {
  return z.instanceof(Uint8Array).refine((value) => value.length === length);
}

const checkpointForm =
  /^snug\/(?<origin>[\w-]{43})\n(?<size>0|[1-9]\d{0,15})\n(?<root>[A-Za-z0-9+/]{43}=)\n\n— snug\/\k<origin> (?<signature>[A-Za-z0-9+/]{91}=)\n(?:— .*\n)*$/;

/** `https://host:port/join#…`, on the invite's first address. Throws a RangeError for a checkpoint that is none. */
export function encodeInviteLink(invite: Invite): string {
  const { origin, size, root, signature } = checkpointForm.exec(invite.checkpoint)?.groups ?? {};
  if (origin !== invite.server || size === undefined || root === undefined || signature === undefined) {
    throw new RangeError("an invite carries a checkpoint of its own server");
  }
  const parts: z.infer<typeof fragment> = [
    1,
    invite.addresses,
    fromBase64url(invite.server),
    fromBase64url(invite.logKey.x),
    invite.authority && fromBase64url(invite.authority),
    [Number(size), Uint8Array.fromBase64(root), Uint8Array.fromBase64(signature)],
    invite.inviter && fromBase64url(invite.inviter),
    invite.secret,
    invite.once,
  ];
  return `${invite.addresses[0]}${invitePath}#${toBase64url(encodeCbor(parts))}`;
}

/**
 * A link as it was sent, without what mail and messengers put into it and around it: line breaks, the `>` of a
 * quotation, angle brackets, quotation marks, invisible characters, the full stop of the sentence it ended.
 */
export function mendLink(pasted: string): string {
  return pasted
    .replace(/[\s<>"'`“”„«»\u00ad\u200b-\u200f\u2060\u2066-\u2069\ufeff]+/g, "")
    .replace(/[.,;:!)\]]+$/, "");
}

/** Throws SnugError `invite-invalid`. Takes the whole link or the fragment alone, as {@link mendLink} does. */
export function decodeInviteLink(link: string): Invite {
  const whole = mendLink(link);
  const encoded = whole.slice(whole.indexOf("#") + 1);
  try {
    if (encoded.length > 4096) throw new RangeError("too long");
    return readFragment(fragment.parse(decodeDeterministicCbor(fromBase64url(encoded))));
  } catch (cause) {
    throw new SnugError(
      "invite-invalid",
      "this is not a whole Snug link; copy it again from its first letter to its last",
      { cause },
    );
  }
}

function readFragment(parts: z.infer<typeof fragment>): Invite {
  const [version, addresses, serverBytes, logKey, authority, [size, root, signature], inviter, secret, once] =
    parts;
  const server = toBase64url(serverBytes);
  const origin = `snug/${server}`;
  return Invite.parse({
    version,
    addresses,
    server,
    logKey: { kty: "OKP", crv: "Ed25519", x: toBase64url(logKey) },
    authority: authority && toBase64url(authority),
    checkpoint: `${origin}\n${size}\n${root.toBase64()}\n\n— ${origin} ${signature.toBase64()}\n`,
    inviter: inviter && toBase64url(inviter),
    secret,
    once,
  });
}
