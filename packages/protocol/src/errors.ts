/** The closed list of error codes (docs/spec/protocol.md, section Errors). */
export const errorCodes = [
  "malformed",
  "unauthenticated",
  "forbidden",
  "not-found",
  "id-conflict",
  "out-of-order",
  "stale-epoch",
  "rolled-back",
  "incarnation-changed",
  "policy",
  "quota",
  "too-large",
  "too-many",
  "upgrade",
  "name-taken",
  "name-invalid",
  "invite-invalid",
  "conflict",
  "unavailable",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An error that may travel: a stable code, and a message that says what was received and what to do. */
export class SnugError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SnugError";
    this.code = code;
  }
}
