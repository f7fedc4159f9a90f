export * from "./api.ts";
export { createClient } from "./client.ts";
export type { Address, HttpRequest, Platform, Socket, SocketEvents } from "./platform.ts";
export type { Change, ExportableKeys, Range, Store } from "./store.ts";
