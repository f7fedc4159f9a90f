import { z } from "zod";
import { AccountId, Hash, MessageId, StreamId, TitleId } from "./ids.ts";
import { limits } from "./limits.ts";

const byteOrderMark = "\ufeff";
/** A short text that comes as JSON and is kept as CBOR, where no text begins with a byte order mark (E3). */
export const keepable = (most: number): z.ZodString =>
  z
    .string()
    .max(most)
    .refine((text) => !text.startsWith(byteOrderMark));

const reference = z.strictObject({ account: AccountId, id: MessageId });

/**
 * What is said, whatever seals it: JSON in letters, CBOR in conversations. Shaped after draft-ietf-mimi-content.
 * Text: Unicode scalar values without control characters but tab and newline, so that no terminal obeys a letter.
 */
export const Content = z.strictObject({
  /** Newest rows the sender had seen, by stream. */
  seen: z.array(z.strictObject({ stream: StreamId, seq: z.int().nonnegative(), rowHash: Hash })).max(16),
  parts: z
    .array(z.strictObject({ type: z.literal("text/plain"), text: z.string() }))
    .min(1)
    .max(1),
  inReplyTo: reference.nullable(),
  replaces: reference.nullable(),
  reaction: keepable(16).nullable(),
  expires: z.int().nonnegative().nullable(),
  topic: keepable(64).nullable(),
  attachment: z.null(),
  moment: z.strictObject({ media: TitleId, microseconds: z.int().nonnegative() }).nullable(),
});
export type Content = z.infer<typeof Content>;

/** A plain text as content. */
export function textContent(text: string): Content {
  return {
    seen: [],
    parts: [{ type: "text/plain", text }],
    inReplyTo: null,
    replaces: null,
    reaction: null,
    expires: null,
    topic: null,
    attachment: null,
    moment: null,
  };
}

/** C0 and C1 controls but tab and newline. */
function isControl(character: string): boolean {
  const code = character.charCodeAt(0);
  return code < 32 ? code !== 9 && code !== 10 : code >= 127 && code <= 159;
}

/** What is wrong with a text as a letter's text, in words, or null. CRLF is to be normalised before. */
export function textProblem(text: string): string | null {
  if (text.length === 0) return "the text is empty";
  if (text.startsWith(byteOrderMark)) return "the text begins with a byte order mark";
  if (!text.isWellFormed()) return "the text has half of a surrogate pair";
  if (text.split("").some(isControl)) return "the text has control characters other than tab and newline";
  const size = new TextEncoder().encode(text).length;
  if (size > limits.text) return `the text has ${size} bytes, at most ${limits.text} fit into a letter`;
  return null;
}
