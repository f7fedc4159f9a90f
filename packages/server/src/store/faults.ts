import { SnugError } from "@snug/protocol/errors";

/** What the disk's refusals are called in SQLite (primary result codes): READONLY, IOERR, FULL, CANTOPEN. */
const diskCodes = [8, 10, 13, 14];

/** A batch that could not be stored, as others may know it, and for the log. */
export interface Fault {
  readonly code: "unavailable" | "internal";
  readonly message: string;
  /** For the log only: inside faults stay inside. */
  readonly inside: string;
}

/** A full or failing disk is said as such, for the sender to try again later; anything else is a fault of ours. */
export function faultOf(cause: unknown): Fault {
  const { errcode = 0, stack = String(cause) } = cause as { errcode?: number; stack?: string };
  return diskCodes.includes(errcode & 255)
    ? { code: "unavailable", message: "the server's disk takes nothing more; try again later", inside: stack }
    : { code: "internal", message: "the server failed; it has been logged", inside: stack };
}

/** Whether an error is to be looked at by the operator: whatever is no refusal. */
export function isFault(error: unknown): boolean {
  if (!(error instanceof SnugError)) return true;
  return error.cause !== undefined && (error.code === "internal" || error.code === "unavailable");
}
