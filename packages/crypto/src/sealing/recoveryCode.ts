import { encodeCbor, labels, SnugError } from "@snug/protocol";

// Crockford's base 32: no I, L, O, U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const symbols = 28;
const secretLength = 16;

/**
 * 128 bits and 12 bits of checksum as 28 symbols of Crockford's base 32 in groups of four:
 * `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`.
 */
export async function formatRecoveryCode(secret: Uint8Array): Promise<string> {
  let bits = (toBigInt(secret) << 12n) | BigInt(await checksum(secret));
  let code = "";
  for (let i = 0; i < symbols; i++, bits >>= 5n) code = alphabet.charAt(Number(bits & 31n)) + code;
  return (code.match(/.{4}/g) ?? []).join("-");
}

/**
 * A code as a person typed it → its 16 bytes. Case, spaces, hyphens, O for 0 and I or L for 1 don't matter.
 * Throws SnugError `malformed` with a message for people.
 */
export async function parseRecoveryCode(typed: string): Promise<Uint8Array<ArrayBuffer>> {
  const code = typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  const odd = [...code].find((symbol) => !alphabet.includes(symbol));
  if (odd !== undefined) throw wrong(`it has ${JSON.stringify(odd)}, which no recovery code has`);
  if (code.length !== symbols) throw wrong(`it has ${code.length} characters instead of ${symbols}`);
  let bits = 0n;
  for (const symbol of code) bits = (bits << 5n) | BigInt(alphabet.indexOf(symbol));
  const secret = fromBigInt(bits >> 12n);
  if ((await checksum(secret)) !== Number(bits & 0xfffn)) throw wrong("a character is wrong somewhere");
  return secret;
}

const wrong = (why: string): SnugError =>
  new SnugError("malformed", `this is not a whole recovery code: ${why}; compare it group by group`);

async function checksum(secret: Uint8Array): Promise<number> {
  const digest = await crypto.subtle.digest("SHA-256", encodeCbor([labels.recoveryCheck, secret]));
  return new DataView(digest).getUint16(0) >> 4;
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toHex()}`);
}

function fromBigInt(value: bigint): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(value.toString(16).padStart(secretLength * 2, "0")) as Uint8Array<ArrayBuffer>;
}
