import { NetworkError, StoreError } from "@snug/client";
import { SnugError } from "@snug/protocol";

/** Whether the client's door may reject with it: a code of the closed list, but for a fault of its own. */
export function isTyped(error: unknown): boolean {
  if (error instanceof SnugError) return error.code !== "internal";
  return error instanceof NetworkError || error instanceof StoreError;
}

/** Its code, or what kind it is of. */
export function nameOf(error: unknown): string {
  return error instanceof SnugError ? error.code : error instanceof Error ? error.name : String(error);
}
