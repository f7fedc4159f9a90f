import { limits, SnugError, socketPath, subprotocol } from "@snug/protocol";
import { NetworkError } from "../api.ts";
import {
  type Address,
  type HttpRequest,
  largestAnswer,
  type Platform,
  type Socket,
  type SocketEvents,
} from "../platform.ts";

/** As Node's: a request that gets no answer for so long has failed. */
const requestLimit = 30_000;

/** A browser's worker: it talks to the page's own origin only, whose certificate the browser judges. */
export function browserPlatform(origin: string): Platform {
  return {
    origin,
    needsCookie: true,
    pin: async () => null,
    openSocket,
    fetch: fetchJson,
    now: Date.now,
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    onNetwork: (listener) => {
      globalThis.addEventListener("online", listener);
      return () => globalThis.removeEventListener("online", listener);
    },
  };
}

function openSocket({ origin }: Address, events: SocketEvents): Socket {
  const socket = new WebSocket(`${origin.replace(/^http/, "ws")}${socketPath}`, subprotocol);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => events.opened();
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    const fits = data instanceof ArrayBuffer && data.byteLength <= limits.frame;
    // Anything else is no frame of ours: as empty bytes it is refused where frames are parsed.
    events.received(fits ? new Uint8Array(data) : new Uint8Array());
  };
  socket.onclose = ({ code, reason }) =>
    events.closed({ code, reason: reason || "the server can't be reached" });
  return {
    send: (frame) => socket.send(new Uint8Array(frame)),
    close: () => socket.close(),
  };
}

async function fetchJson(
  { origin }: Address,
  { method, path, body, token }: HttpRequest,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const headers = new Headers();
  if (body !== undefined) headers.set("content-type", "application/json");
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const signal = AbortSignal.timeout(requestLimit);
  try {
    const answer = await fetch(new URL(path, origin), {
      method,
      headers,
      signal,
      cache: "no-store",
      // The server's answers are its own; what it points to is not.
      redirect: "error",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: parseJson(await readBody(answer)) };
  } catch (cause) {
    if (cause instanceof SnugError) throw cause;
    throw new NetworkError(`${origin} can't be reached`, { cause });
  }
}

async function readBody(answer: Response): Promise<string> {
  const reader = answer.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for (;;) {
    // Not every browser can iterate a stream.
    const piece = await reader?.read();
    if (!piece?.value) return text + decoder.decode();
    size += piece.value.length;
    if (size > largestAnswer) {
      await reader?.cancel();
      throw new SnugError("too-large", "an answer larger than any that is right");
    }
    text += decoder.decode(piece.value, { stream: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Some answers are a proxy's page; the status says what is to be known.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
