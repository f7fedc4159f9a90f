import { z } from "zod";
import { Content, textProblem } from "./content.ts";
import { SnugError } from "./errors.ts";
import { AccountId, DeviceId, KeyId, MessageId, ServerId } from "./ids.ts";
import { limits } from "./limits.ts";

/** The end of the year 9999, ms since 1970. Above 8.64e15 no Date exists: such a letter could be stored, but never shown. */
const lastTime = 253_402_300_799_999;

/** What the sending device signs, as JSON (docs/spec/letters.md). */
export const LetterPayload = z.strictObject({
  version: z.literal(1),
  server: ServerId,
  from: z.strictObject({ account: AccountId, device: DeviceId }),
  to: z.strictObject({ account: AccountId, key: KeyId }),
  /** In a copy sealed to oneself: the account that the letter went to. Else null. */
  copyOf: AccountId.nullable(),
  id: MessageId,
  counter: z.int().positive(),
  /** The sender's clock, ms since 1970. */
  time: z.int().nonnegative().max(lastTime),
  /** The newest checkpoint that the sender knows. */
  checkpoint: z.string().max(1024),
  content: Content,
});
export type LetterPayload = z.infer<typeof LetterPayload>;

/** A payload's sizes in bytes: filled up with spaces to the next. The last holds 64 KiB of text, each byte escaped. */
export const letterBuckets: readonly number[] = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 139_264];

/** Payload → padded JSON. Throws SnugError `malformed` or `too-large` with a message for people. */
export function encodeLetterPayload(payload: LetterPayload): Uint8Array<ArrayBuffer> {
  checkText(payload.content);
  const json = new TextEncoder().encode(JSON.stringify(payload));
  const bucket = letterBuckets.find((size) => size >= json.length);
  if (bucket === undefined) {
    const most = letterBuckets.at(-1);
    throw new SnugError("too-large", `the letter has ${json.length} bytes, at most ${most} can be sealed`);
  }
  const padded = new Uint8Array(bucket).fill(0x20);
  padded.set(json);
  return padded;
}

/** Padded JSON → payload. Throws SnugError `malformed`, `too-large`, or `upgrade` for a newer version's letter. */
export function decodeLetterPayload(bytes: Uint8Array): LetterPayload {
  if (!letterBuckets.includes(bytes.length)) {
    throw new SnugError("malformed", `a letter's payload of ${bytes.length} bytes is not padded to a bucket`);
  }
  const value = parseJson(bytes);
  const newer = z.looseObject({ version: z.int().min(2) }).safeParse(value);
  if (newer.success) {
    throw new SnugError(
      "upgrade",
      `a letter of version ${newer.data.version}: made by a newer version of Snug`,
    );
  }
  const parsed = LetterPayload.safeParse(value);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join(".") ?? "";
    const message = `a letter's payload is not of its form, at "${where}"`;
    throw new SnugError("malformed", message, { cause: parsed.error });
  }
  checkText(parsed.data.content);
  return parsed.data;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new SnugError("malformed", "a letter's payload is not JSON in UTF-8", { cause });
  }
}

function checkText(content: Content): void {
  const text = content.parts[0]?.text ?? "";
  const problem = textProblem(text);
  if (problem === null) return;
  const size = new TextEncoder().encode(text).length;
  throw new SnugError(size > limits.text ? "too-large" : "malformed", problem);
}
