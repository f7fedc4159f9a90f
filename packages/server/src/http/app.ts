import type { RequestListener } from "node:http";
import { limits } from "@snug/protocol";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { Health } from "../health.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics/metrics.ts";
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

const authorityPath = "/authority.crt";
const healthPath = "/healthz";
/** Nothing secret and nothing to be believed: shown to plain HTTP from anywhere. */
const onBothSchemes: ReadonlySet<string> = new Set([authorityPath, healthPath]);

/** Answers that an operator may have to trace to an address: not signed in, not allowed, another host, too often. */
const turnedAway: ReadonlySet<number> = new Set([401, 403, 421, 429]);

/** A Fastify that listens on nothing, with the headers, the closed list of errors and the judgement of each request. */
export function createApp(of: {
  readonly site: Site;
  readonly certificates: Certificates;
  readonly addresses: readonly string[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}): { readonly app: FastifyInstance; readonly handler: () => RequestListener } {
  const app = fastify({
    bodyLimit: limits.body,
    loggerInstance: of.logger.framework() as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: 200 },
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // Paths that the router can't decode, or finds too long, pass no hook: they are judged and answered like all others.
    frameworkErrors: (_cause, request, reply) => {
      if (!receive(of, request, reply)) notFound(reply);
    },
  });
  app.decorateRequest("visit");
  app.setErrorHandler<Error>((cause, _request, reply) => {
    const error = toSnugError(cause, of.logger.fault);
    of.metrics.refused.count(error.code);
    return sendError(reply, error);
  });
  app.setNotFoundHandler((_request, reply) => notFound(reply));
  app.addHook("onRequest", async (request, reply) => {
    if (receive(of, request, reply)) return reply;
  });
  app.addHook("onResponse", async (request, reply) => {
    const { statusCode: status, elapsedTime } = reply;
    // The pattern only: grants and queries never reach a log.
    const route = request.routeOptions.url ?? "-";
    of.metrics.requests.count(route, String(status));
    of.metrics.requestSeconds.observe(elapsedTime / 1000);
    if (status === 200 && request.raw.url?.endsWith(".m4s")) of.metrics.segments.count();
    of.logger.write("request", {
      method: request.method,
      route,
      status,
      ms: Math.round(elapsedTime),
      ...(turnedAway.has(status) ? { address: of.site.addressOf(request.raw) } : {}),
    });
  });
  app.get(authorityPath, (_request, reply) =>
    of.certificates.current.authority === null
      ? reply.callNotFound()
      : reply.type("application/x-x509-ca-cert").send(of.certificates.current.authority.pem),
  );
  app.get(healthPath, async (_request, reply) => {
    const well = await of.health.isWell();
    reply
      .code(well ? 200 : 503)
      .header("cache-control", "no-store")
      .type("text/plain; charset=utf-8");
    return well ? "ok\n" : "unavailable\n";
  });
  return { app, handler: () => (request, response) => app.routing(request, response) };
}

/** In place of compilers of JSON schemas, which would be loaded unused: bodies are parsed by the protocol's own. */
function noSchemas(): never {
  throw new Error("routes declare no JSON schemas here");
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
    const code = judgement.status === 400 ? "malformed" : "forbidden";
    reply.code(judgement.status).send({ code, message: judgement.why });
    return true;
  }
  request.visit = judgement.visit;
  if (judgement.visit.whole || onBothSchemes.has(request.routeOptions.url ?? "")) return false;
  reply
    .code(request.method === "GET" ? 200 : 403)
    .header("content-security-policy", preparePolicy)
    .header("cache-control", "no-store")
    .type("text/html; charset=utf-8")
    .send(preparePage(of.addresses, of.certificates.current.authority !== null));
  return true;
}
