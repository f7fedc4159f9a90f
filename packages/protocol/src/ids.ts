import { z } from "zod";

// The page forbids eval; zod must not compile its parsers.
z.config({ jitless: true });

/** Bytes → base64url without padding (RFC 4648 §5). */
export function toBase64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Base64url without padding → bytes. Refuses padding, white space and non-zero trailing bits with a SyntaxError. */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("=") || /\s/.test(text)) throw new SyntaxError("base64url with padding or white space");
  return Uint8Array.fromBase64(text, {
    alphabet: "base64url",
    lastChunkHandling: "loose",
  }) as Uint8Array<ArrayBuffer>;
}

// An id has exactly one spelling: the last character may carry no stray bits, else two texts would name one id.
const id128 = /^[A-Za-z0-9_-]{21}[AQgw]$/;
const id256 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/** 128 random bits as base64url, 22 characters. */
export const Id128: z.ZodString = z.string().regex(id128);
/** 256 bits (a SHA-256) as base64url, 43 characters. */
export const Id256: z.ZodString = z.string().regex(id256);

/** SHA-256 of the server's log public key. */
export const ServerId = Id256.brand<"ServerId">();
export type ServerId = z.infer<typeof ServerId>;
/** 128 random bits of a data folder, renewed by a restore. */
export const Incarnation = Id128.brand<"Incarnation">();
export type Incarnation = z.infer<typeof Incarnation>;
/** SHA-256 of the genesis statement: never a key, never a name. */
export const AccountId = Id256.brand<"AccountId">();
export type AccountId = z.infer<typeof AccountId>;
/** 128 random bits, never reused. */
export const DeviceId = Id128.brand<"DeviceId">();
export type DeviceId = z.infer<typeof DeviceId>;
/** 128 random bits naming a log of rows. */
export const StreamId = Id128.brand<"StreamId">();
export type StreamId = z.infer<typeof StreamId>;
/** 128 random bits, meaningful only together with the sender. */
export const MessageId = Id128.brand<"MessageId">();
export type MessageId = z.infer<typeof MessageId>;
/** JWK thumbprint (RFC 7638, SHA-256). */
export const KeyId = Id256.brand<"KeyId">();
export type KeyId = z.infer<typeof KeyId>;
/** 128 random bits naming a title of the library; stable across renames. */
export const TitleId = Id128.brand<"TitleId">();
export type TitleId = z.infer<typeof TitleId>;
/** A SHA-256, base64url. */
export const Hash = Id256.brand<"Hash">();
export type Hash = z.infer<typeof Hash>;

/** A fresh random 128-bit id of the schema's kind: `randomId(MessageId)`. */
export function randomId<T>(schema: { parse(text: string): T }): T {
  return schema.parse(toBase64url(crypto.getRandomValues(new Uint8Array(16))));
}
