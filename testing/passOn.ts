import { once } from "node:events";
import { type IncomingMessage, request as plainRequest, type ServerResponse } from "node:http";
import { request as tlsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TLSSocket } from "node:tls";

/** A request by HTTP that came to the middle, and the port of the server behind it. */
interface Passing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly port: number;
}

/** What is sent on in the place of a body, and what becomes of the answer. */
export interface Changed {
  readonly body: string;
  /** Null: an answer without an end. */
  answer(answer: string): string | null;
}

/** Hands a request on as it is, by the scheme it came by, and its answer back. */
export async function passOn(of: Passing): Promise<void> {
  const far = ask(of, {});
  of.request.pipe(far);
  const answer = await answerOf(far);
  of.response.writeHead(answer.statusCode ?? 502, answer.headers);
  answer.pipe(of.response);
}

/** Hands on another body, and another answer back. */
export async function passChanged(of: Passing, change: (body: string) => Promise<Changed>): Promise<void> {
  const changed = await change(await wholeOf(of.request));
  const far = ask(of, { "content-length": Buffer.byteLength(changed.body) });
  far.end(changed.body);
  const answer = await answerOf(far);
  const body = changed.answer(await wholeOf(answer));
  if (body === null) {
    of.response.writeHead(200, { "content-type": "application/json" });
    await pipeline(Readable.from(endless()), of.response).catch(() => undefined);
    return;
  }
  of.response.writeHead(answer.statusCode ?? 502, {
    ...answer.headers,
    "content-length": Buffer.byteLength(body),
  });
  of.response.end(body);
}

/** White space, which JSON may begin with. */
function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(65_536, " ");
}

function ask({ request, port }: Passing, more: Record<string, number>): ReturnType<typeof plainRequest> {
  const encrypted = (request.socket as Partial<TLSSocket>).encrypted === true;
  const send = encrypted ? tlsRequest : plainRequest;
  return send({
    ...{ host: "127.0.0.1", port, method: request.method, path: request.url },
    headers: { ...request.headers, ...more },
    // A connection of its own: one kept from before may be ending just now.
    agent: false,
    // It is the same server's key that the client has just judged.
    rejectUnauthorized: false,
  });
}

async function answerOf(far: ReturnType<typeof plainRequest>): Promise<IncomingMessage> {
  const [answer] = (await once(far, "response")) as [IncomingMessage];
  return answer;
}

async function wholeOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}
