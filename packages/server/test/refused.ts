import assert from "node:assert/strict";
import { type ErrorCode, SnugError } from "@snug/protocol";

/** Asserts that something is refused with this code, and this message where one is given. */
export async function refused(
  by: { readonly code: ErrorCode; readonly message?: string },
  what: Promise<unknown>,
): Promise<void> {
  await assert.rejects(what, (error) => {
    assert.ok(error instanceof SnugError, String(error));
    assert.equal(error.code, by.code, error.message);
    if (by.message !== undefined) assert.equal(error.message, by.message);
    return true;
  });
}
