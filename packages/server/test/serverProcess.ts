// A server in a process of its own, for tests that kill it: node serverProcess.ts OPTIONS-JSON. Says where it listens,
// then runs until it is ended.
import { type ServerOptions, startServer } from "../src/index.ts";

const server = await startServer(JSON.parse(process.argv[2] ?? "{}") as ServerOptions);
process.on("SIGTERM", () => server.close());
process.stdout.write(`${JSON.stringify({ port: server.port, serverId: server.serverId })}\n`);
