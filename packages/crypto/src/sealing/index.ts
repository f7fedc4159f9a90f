export { type CreatedAccount, createAccount } from "./createAccount.ts";
export { checkInviteBinding } from "./inviteBinding.ts";
export { type AccountKeys, type ExportedKeys, importAccountKeys } from "./keys.ts";
export { letterBuckets } from "./letterPayload.ts";
export { type LetterRow, type OpenedLetter, openLetter, sealLetter } from "./letters.ts";
export { type RecoveredKeys, type RecoveryKey, recoverKeys } from "./recovery.ts";
export { parseRecoveryCode } from "./recoveryCode.ts";
export { signSignIn } from "./signIn.ts";
export { signStatement } from "./statements.ts";
