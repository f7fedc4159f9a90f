export { type CreatedAccount, createAccount } from "./createAccount.ts";
export { checkInviteBinding } from "./inviteBinding.ts";
export { type AccountKeys, type ExportedKeys, importAccountKeys } from "./keys.ts";
export { openLetter, type SenderEnd, sealLetter } from "./letters.ts";
export { recoverKeys } from "./recovery.ts";
export { parseRecoveryCode } from "./recoveryCode.ts";
export { signSignIn } from "./signIn.ts";
export { signStatement } from "./statements.ts";
