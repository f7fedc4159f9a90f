import { fromBase64url, SnugError, toBase64url } from "@snug/protocol";

/**
 * A compact JWS (3 parts) or JWE (5 parts) and its protected header, strictly: every part has one spelling, and the
 * header is compact JSON, so that no member stands in it twice. Throws SnugError `malformed`.
 */
export function splitCompact(
  bytes: Uint8Array,
  count: 3 | 5,
): { text: string; header: Record<string, unknown> } {
  const what = count === 3 ? "JWS" : "JWE";
  const text = ascii(bytes, what);
  const parts = text.split(".");
  if (parts.length !== count) throw new SnugError("malformed", `a ${what} with ${parts.length} parts`);
  const [header] = parts.map((part) => decodePart(part, what));
  return { text, header: parseHeader(header ?? new Uint8Array(), what) };
}

function ascii(bytes: Uint8Array, what: string): string {
  if (bytes.some((byte) => byte > 127)) throw new SnugError("malformed", `a ${what} that is not ASCII`);
  return new TextDecoder().decode(bytes);
}

function decodePart(part: string, what: string): Uint8Array {
  try {
    const bytes = fromBase64url(part);
    if (toBase64url(bytes) !== part) throw new SyntaxError("stray bits");
    return bytes;
  } catch (cause) {
    throw new SnugError("malformed", `a ${what} with a part that is not base64url`, { cause });
  }
}

function parseHeader(bytes: Uint8Array, what: string): Record<string, unknown> {
  const json = new TextDecoder().decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new SnugError("malformed", `a ${what} whose header is not JSON`, { cause });
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject || JSON.stringify(value) !== json) {
    throw new SnugError("malformed", `a ${what} whose header is not a compact JSON object`);
  }
  return value as Record<string, unknown>;
}
