export { adviceOf, awaitsLook, noticesBeside, senderEndWords } from "./advice.ts";
export * from "./api.ts";
export { createClient } from "./client.ts";
export type { HttpRequest, Platform, Socket, SocketEvents } from "./platform.ts";
export { type Store, StoreError } from "./store.ts";
