import { Readable } from "node:stream";
import { type AccountId, limits, SnugError, type TitleId } from "@snug/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Places } from "../places.ts";
import type { Library } from "./library.ts";
import type { FileRequest } from "./messages.ts";

export interface MediaRouteOptions {
  readonly library: Library;
  /** Whose asking it is, if they may watch the title now. `grant` is `me` (cookie or token) or a playback grant. */
  readonly authorize: (
    request: FastifyRequest,
    grant: string,
    title: TitleId,
  ) => Promise<AccountId | undefined>;
}

const id = "[A-Za-z0-9_-]{21}[AQgw]";
const version = "[A-Za-z0-9_-]{43}";
const own = "master\\.m3u8|still\\.jpg";
const ofRendition = "index\\.m3u8|init\\.mp4|(?:0|[1-9][0-9]{0,6})\\.m4s";
/** The only paths there are. Nothing is decoded: a path with `%` is none of them. */
const pattern = new RegExp(
  `^/m/(me|${id})/(${id})/(${version})/(?:(${own})|([a-z0-9]{1,16})/(${ofRendition}))$`,
);

/** Serves `/m/{grant}/{title}/{version}/…` (VL9). What may not be seen and what isn't there answer alike. */
export function mediaRoutes(fastify: FastifyInstance, { library, authorize }: MediaRouteOptions): void {
  const places = new Places(limits.watching);
  fastify.route({
    method: ["GET", "HEAD"],
    url: "/m/*",
    handler: async (request, reply) => {
      reply.header("cache-control", "no-store");
      const asked = parse(request.raw.url ?? "");
      if (asked === undefined) return notFound(reply);
      // First, so that a stranger's answer takes no path that depends on what there is.
      const account = await authorize(request, asked.grant, asked.file.title as TitleId);
      if (account === undefined) return notFound(reply);
      if (places.isFull(account)) return reply.code(429).send(tooMany);
      // What an answer has read and nobody takes lies in memory.
      const leave = places.take(account);
      if (reply.raw.destroyed) leave();
      else reply.raw.once("close", leave);
      const found = await open(library, asked.file);
      if (found === "unavailable")
        return reply.code(503).send({ code: "unavailable", message: "ask again in a moment" });
      if (found === undefined) return notFound(reply);
      reply.type(found.type);
      if (found.length !== undefined) reply.header("content-length", found.length);
      const body = Readable.from(found.body, { objectMode: false, highWaterMark: 65_536 });
      if (request.method === "HEAD") {
        body.destroy();
        return reply.send();
      }
      return reply.send(body);
    },
  });
}

const tooMany = {
  code: "too-many",
  message: `at most ${limits.watching} answers at once; wait for one to end`,
};

function parse(url: string): { grant: string; file: FileRequest } | undefined {
  const match = pattern.exec(url.split("?", 1)[0] ?? "");
  if (match === null) return undefined;
  const [, grant = "", title = "", version = "", top, rendition = "", file = ""] = match;
  return { grant, file: { title, version, rendition, file: top ?? file } };
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ code: "not-found", message: "there is nothing here" });
}

async function open(library: Library, file: FileRequest) {
  try {
    return await library.open(file);
  } catch (error) {
    if (error instanceof SnugError && error.code === "unavailable") return "unavailable" as const;
    throw error;
  }
}
