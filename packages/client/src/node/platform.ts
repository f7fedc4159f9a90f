import { createHash, X509Certificate } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { fromBase64url, type Hash, limits, SnugError, socketPath, subprotocol } from "@snug/protocol";
import WebSocket from "ws";
import { NetworkError } from "../api.ts";
import {
  type Address,
  type HttpRequest,
  largestAnswer,
  type Platform,
  type Socket,
  type SocketEvents,
} from "../platform.ts";

/** A request whose whole answer has not come by then has failed: one that drips would keep its asker for ever. ms */
const requestLimit = 30_000;

/** Node: `ws`, and the server's own TLS authority pinned for this client alone. */
export function nodePlatform(): Platform {
  return {
    origin: null,
    needsCookie: false,
    pin,
    openSocket,
    fetch: fetchJson,
    now: Date.now,
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    onNetwork: () => () => undefined,
  };
}

/**
 * The certificate comes over plain HTTP: nothing vouches for it but the hash in the link, which is enough.
 * Over http://localhost there is no certificate to be pinned.
 */
async function pin(origin: string, authority: Hash | null): Promise<string | null> {
  if (authority === null || origin.startsWith("http:")) return null;
  const { host } = new URL(origin);
  const plain = { origin: `http://${host}`, authority: null };
  const { status, body } = await ask(plain, { method: "GET", path: "/authority.crt" });
  if (status !== 200) throw new NetworkError(`${origin} does not show its certificate (status ${status})`);
  const certificate = parseCertificate(body);
  const hash = createHash("sha256").update(certificate.raw).digest();
  if (!hash.equals(fromBase64url(authority))) {
    throw new SnugError("forbidden", `${origin} shows another certificate than was named`);
  }
  return certificate.toString();
}

function parseCertificate(body: Buffer): X509Certificate {
  try {
    return new X509Certificate(body);
  } catch (cause) {
    throw new SnugError("forbidden", "what the server shows is no certificate", { cause });
  }
}

function openSocket({ origin, authority }: Address, events: SocketEvents): Socket {
  const socket = new WebSocket(`${origin.replace(/^http/, "ws")}${socketPath}`, subprotocol, {
    ...(authority === null ? {} : { ca: authority }),
    perMessageDeflate: false,
    maxPayload: limits.frame,
    handshakeTimeout: 10_000,
  });
  let failure = "";
  let ended = false;
  socket.binaryType = "nodebuffer";
  socket.on("open", () => events.opened());
  socket.on("message", (data: Buffer, isBinary) => {
    // A text frame is no frame of ours: as empty bytes it is refused where frames are parsed.
    events.received(isBinary ? new Uint8Array(data) : new Uint8Array());
  });
  socket.on("error", (error) => {
    failure = tlsWords(error, authority);
  });
  socket.on("close", (code, reason) => {
    if (ended) return;
    ended = true;
    events.closed({ code, reason: failure || reason.toString() });
  });
  return {
    send: (frame) => socket.send(frame),
    close: () => {
      if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
      else socket.close();
      // A peer that does not answer the closing handshake must not keep the process alive.
      const timer = setTimeout(() => socket.terminate(), 1_000);
      socket.once("close", () => clearTimeout(timer));
    },
  };
}

async function fetchJson(
  address: Address,
  request: HttpRequest,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { status, body } = await ask(address, request);
  return { status, body: parseJson(body) };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    // Some answers are a proxy's page; the status says what is to be known.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function ask(address: Address, request: HttpRequest): Promise<{ status: number; body: Buffer }> {
  const url = new URL(request.path, address.origin);
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("no answer in time")), requestLimit);
  const options = {
    method: request.method,
    // No shared agent: nothing stays open behind an answer.
    agent: false,
    signal: late.signal,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(request.token === undefined ? {} : { authorization: `Bearer ${request.token}` }),
    },
    ...(address.authority === null ? {} : { ca: address.authority }),
  };
  return new Promise<{ status: number; body: Buffer }>((resolve, reject) => {
    const failed = (error: Error) => {
      const cause = late.signal.aborted ? (late.signal.reason as Error) : error;
      reject(
        cause instanceof SnugError
          ? cause
          : new NetworkError(`${url.host}: ${tlsWords(cause, address.authority)}`, { cause }),
      );
    };
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const sent = send(url, options, (response) => {
      readBody(response).then((read) => resolve({ status: response.statusCode ?? 0, body: read }), failed);
    });
    sent.on("error", failed);
    sent.end(body);
  }).finally(() => clearTimeout(timer));
}

/** What OpenSSL calls a certificate that nobody known vouches for. */
const unknownIssuer: readonly unknown[] = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
];

function tlsWords(error: Error, authority: string | null): string {
  if (!("code" in error && unknownIssuer.includes(error.code))) return error.message;
  return authority === null
    ? "nobody whom this computer trusts vouches for its certificate; if it comes from an authority of your own, name that one's certificate by NODE_EXTRA_CA_CERTS=FILE"
    : "its certificate is not from the authority by which this server is known here; if it was given another name or certificate, ask for its address and fingerprint, and see snug --help: --server";
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response) {
    size += (piece as Buffer).length;
    if (size > largestAnswer) throw new SnugError("too-large", "an answer larger than any that is right");
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces);
}
