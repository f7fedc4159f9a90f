import type { RequestListener } from "node:http";
import { limits } from "@snug/protocol";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { Logger } from "../logger.ts";
import type { Site, Visit } from "../site.ts";
import type { Certificates } from "../tls/certificates.ts";
import { sendError, toSnugError } from "./errors.ts";
import { preparePage, preparePolicy } from "./preparePage.ts";

declare module "fastify" {
  interface FastifyRequest {
    visit: Visit;
  }
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types snug",
].join("; ");

/** Answers that an operator may have to trace to an address: not signed in, not allowed, another host, too often. */
const turnedAway: ReadonlySet<number> = new Set([401, 403, 421, 429]);

/** A Fastify that listens on nothing, with the headers, the closed list of errors and the judgement of each request. */
export function createApp(of: {
  readonly site: Site;
  readonly certificates: Certificates;
  readonly addresses: readonly string[];
  readonly logger: Logger;
}): { readonly app: FastifyInstance; readonly handler: () => RequestListener } {
  const app = fastify({
    bodyLimit: limits.body,
    loggerInstance: of.logger.framework() as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: 200 },
    // Paths that the router can't decode, or finds too long, pass no hook: they are judged and answered like all others.
    frameworkErrors: (_cause, request, reply) => {
      if (!receive(of, request, reply)) notFound(reply);
    },
  });
  app.decorateRequest("visit");
  app.setErrorHandler<Error>((cause, _request, reply) =>
    sendError(reply, toSnugError(cause, of.logger.fault)),
  );
  app.setNotFoundHandler((_request, reply) => notFound(reply));
  app.addHook("onRequest", async (request, reply) => {
    if (receive(of, request, reply)) return reply;
  });
  app.addHook("onResponse", async (request, reply) => {
    const { statusCode: status, elapsedTime } = reply;
    of.logger.write("request", {
      method: request.method,
      // The pattern only: grants and queries never reach a log.
      route: request.routeOptions.url ?? "-",
      status,
      ms: Math.round(elapsedTime),
      ...(turnedAway.has(status) ? { address: of.site.addressOf(request.raw) } : {}),
    });
  });
  app.get("/authority.crt", (_request, reply) =>
    of.certificates.current.authority === null
      ? reply.callNotFound()
      : reply.type("application/x-x509-ca-cert").send(of.certificates.current.authority.pem),
  );
  return { app, handler: () => (request, response) => app.routing(request, response) };
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ code: "not-found", message: "there is nothing here" });
}

/** The policy and the judgement of a request. True when that was its answer: turned away, or shown how to come in. */
function receive(
  of: { readonly site: Site; readonly certificates: Certificates; readonly addresses: readonly string[] },
  request: FastifyRequest,
  reply: FastifyReply,
): boolean {
  const judgement = of.site.judge(request.raw);
  reply.headers({
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  });
  if (!judgement.ok) {
    reply.code(judgement.status).send({ code: "forbidden", message: judgement.why });
    return true;
  }
  request.visit = judgement.visit;
  if (judgement.visit.whole || request.routeOptions.url === "/authority.crt") return false;
  reply
    .code(request.method === "GET" ? 200 : 403)
    .header("content-security-policy", preparePolicy)
    .header("cache-control", "no-store")
    .type("text/html; charset=utf-8")
    .send(preparePage(of.addresses, of.certificates.current.authority !== null));
  return true;
}
