export { adoptFolder, finishRestoring } from "./backup/adopt.ts";
export { backUp } from "./backup/backUp.ts";
export { restoreBackup } from "./backup/restore.ts";
export { requestLogKeyRotation } from "./logKeyRotation.ts";
export { type RunningServer, type ServerOptions, startServer } from "./server.ts";
export { requestSetupLink } from "./setupLink.ts";
export { StartError } from "./startError.ts";
