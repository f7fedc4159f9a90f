/**
 * A base64url id as a person types it: its first six bytes in hex. Base64url begins with a hyphen one time in 64,
 * which would make it an option.
 */
export function typedId(id: string): string {
  return Buffer.from(id, "base64url").toString("hex").slice(0, 12);
}
