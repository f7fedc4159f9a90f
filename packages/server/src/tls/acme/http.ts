import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request } from "node:https";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** ms */
const patience = 30_000;
/** No answer of a CA is as large. Bytes */
const largest = 256 * 1024;

/** One request over https. Throws when there is no answer; any status is one. */
export async function ask(of: {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: string;
  readonly body: string | undefined;
  readonly ca: string | undefined;
  readonly stop: AbortSignal;
}): Promise<Answer> {
  const url = URL.parse(of.url);
  if (url?.protocol !== "https:") throw new Error("an ACME authority is asked by https only");
  const headers = {
    "user-agent": "snug",
    ...(of.body === undefined ? {} : { "content-type": "application/jose+json" }),
  };
  const signal = AbortSignal.any([of.stop, AbortSignal.timeout(patience)]);
  const options = {
    method: of.method,
    headers,
    signal,
    agent: false as const,
    ...(of.ca === undefined ? {} : { ca: of.ca }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(url, options, resolve).on("error", reject).end(of.body);
  try {
    const response = await promise;
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > largest) throw new Error("its answer is too large");
      pieces.push(piece);
    }
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) };
  } catch (cause) {
    throw new Error(`the ACME authority at ${url.host} gave no answer: ${(cause as Error).message}`, {
      cause,
    });
  }
}
