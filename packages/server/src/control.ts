import { rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { StartError } from "./startError.ts";

/**
 * How another process of the same person asks the running server for something: a socket in the data folder. Whoever
 * may write the folder may rule the server, and nobody else reaches it. One line asks, one line of JSON answers.
 */
const socketName = "control.sock";
/** Bytes of a question; who has not asked after 5 s is let go. */
const question = 64;
const patience = 5_000;
/** The operating system takes no longer path for a socket. */
const longestPath = 100;

export type Commands = Readonly<Record<string, () => Promise<object>>>;

/** Takes commands until disposed. Where the folder's path is too long for a socket there is none. */
export async function openControl(
  root: string,
  commands: Commands,
  report: (cause: unknown) => void,
): Promise<AsyncDisposable> {
  const path = join(root, socketName);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(patience, () => socket.destroy());
    answer(socket, commands).catch(report);
  });
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  if (Buffer.byteLength(path) > longestPath) return { [Symbol.asyncDispose]: async () => undefined };
  // Left by a server that was killed: the folder's lock says that none is running.
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
  return { [Symbol.asyncDispose]: close };
}

async function answer(socket: Socket, commands: Commands): Promise<void> {
  const name = await readLine(socket, question);
  if (name === null || !Object.hasOwn(commands, name)) {
    socket.destroy();
    return;
  }
  socket.setTimeout(0);
  const result = await commands[name]?.().then(
    (ok) => ({ ok }),
    (error: Error) => ({ error: error.message }),
  );
  socket.end(`${JSON.stringify(result)}\n`);
}

/** The first line, or null when the other side ends or says too much before it. */
function readLine(socket: Socket, most: number): Promise<string | null> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (piece: Buffer) => {
      text += piece.toString("latin1");
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > most) resolve(null);
    });
    socket.on("close", () => resolve(null));
  });
}

/** Asks the server that runs on a data folder. Throws StartError when it refuses, or has no socket there. */
export async function askControl(root: string, name: string): Promise<Record<string, unknown>> {
  const socket = connect(join(root, socketName));
  try {
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.write(`${name}\n`);
    const line = await readLine(socket, 1 << 16);
    const said = JSON.parse(line ?? "null") as { ok?: Record<string, unknown>; error?: string } | null;
    if (said?.ok) return said.ok;
    throw new StartError(said?.error ?? "the running server ended without an answer");
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw new StartError(`the running server can't be asked; stop it first`, { cause });
  } finally {
    socket.destroy();
  }
}
