export type { Account } from "./accounts.ts";
export {
  generateLogKey,
  importLogKey,
  openCheckpoint,
  signCheckpoint,
} from "./checkpoints.ts";
export {
  applyStatement,
  applyStatements,
  type Change,
  type Directory,
  emptyDirectory,
  nextHead,
  sealingKeyOf,
} from "./directory.ts";
export { admitHash, admitOf } from "./invites.ts";
export { keyIdOf, serverIdOf } from "./keys.ts";
export { appendLeaf, compareCheckpoint, emptyTree, rootOf } from "./merkle.ts";
export { normalizeName } from "./names.ts";
export { safetyNumber } from "./safetyNumber.ts";
export { verifySignIn } from "./signIn.ts";
