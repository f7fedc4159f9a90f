export type { Account, Device, EncryptionKey, Signer } from "./accounts.ts";
export {
  type Checkpoint,
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
  type StatementHead,
  sealingKeyOf,
} from "./directory.ts";
export { admitHash, admitOf } from "./invites.ts";
export { keyIdOf, serverIdOf } from "./keys.ts";
export { appendLeaf, compareCheckpoint, emptyTree, type MerkleTree, rootOf } from "./merkle.ts";
export { normalizeName } from "./names.ts";
export { type SafetyParty, safetyNumber } from "./safetyNumber.ts";
export { verifySignIn } from "./signIn.ts";
