/**
 * Every label that enters a signature, a key derivation, a hash or associated data. One registry, so that bytes
 * made for one purpose can never be taken for another. None begins with "MLS 1.0 ", the prefix of RFC 9420.
 * The human-readable list is docs/spec/labels.md; a test compares the two.
 */
export const labels = {
  statement: "snug/1 statement",
  logKey: "snug/1 log key",
  row: "snug/1 row",
  inbox: "snug/1 inbox",
  signIn: "snug/1 sign-in",
  inviteAdmit: "snug/1 invite admit",
  inviteBind: "snug/1 invite bind",
  inviteBinding: "snug/1 invite binding",
  recoveryWrap: "snug/1 recovery wrap",
  recoveryKey: "snug/1 recovery key",
  recoveryCheck: "snug/1 recovery check",
  safetyNumber: "snug/1 safety number",
  storeSeal: "snug/1 store",
} as const;

/** One of the labels of docs/spec/labels.md. */
export type Label = (typeof labels)[keyof typeof labels];
