import { limits, socketPath, subprotocol } from "@snug/protocol";
import { NetworkError } from "../api.ts";
import type { Address, HttpRequest, Platform, Socket, SocketEvents } from "../platform.ts";

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
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: parseJson(text) };
  } catch (cause) {
    throw new NetworkError(`${origin} can't be reached`, { cause });
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
