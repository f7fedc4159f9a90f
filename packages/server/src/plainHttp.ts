/**
 * Node's `http`, asked for as a built-in: an `import` of it reads every one of its exports, and the one called `WebSocket`
 * loads an HTTP client, 13 MB that a server has no use for.
 */
export const { createServer } = process.getBuiltinModule("node:http");
