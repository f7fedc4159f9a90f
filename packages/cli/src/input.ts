import { limits } from "@snug/protocol";
import { CommandError, exitCodes } from "./exit.ts";

/** Everything on stdin as UTF-8. Throws CommandError 1 for other bytes, or for more than a letter can hold. */
export async function readInput(): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    size += chunk.length;
    // A final newline and CRLF are taken off later, so a little more than a letter may come in.
    if (size > 2 * limits.text) {
      throw new CommandError(exitCodes.failed, `stdin holds more than ${limits.text} bytes`);
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new CommandError(exitCodes.failed, "stdin is not UTF-8 text", { cause });
  }
}
