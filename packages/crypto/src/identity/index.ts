export type { Account } from "./accounts.ts";
export { isEnd } from "./administration.ts";
export {
  generateLogKey,
  importLogKey,
  openCheckpoint,
  openShownCheckpoint,
  signCheckpoint,
  unverifiedSize,
} from "./checkpoints.ts";
export {
  type AccountChange,
  applyStatement,
  applyStatements,
  type Change,
  type Directory,
  emptyDirectory,
  hasAdmin,
  nextHead,
  sealingKeyOf,
  unsafeReplay,
} from "./directory.ts";
export { inboxOf } from "./inbox.ts";
export { admitHash, admitOf } from "./invites.ts";
export { keyIdOf, serverIdOf } from "./keys.ts";
export { firstLogKey, logKeyAt, signLogKeyChange } from "./logKeys.ts";
export { appendLeaf, compareCheckpoint, emptyTree, rootOf } from "./merkle.ts";
export { normalizeName } from "./names.ts";
export { safetyNumber } from "./safetyNumber.ts";
export { verifySignIn } from "./signIn.ts";
