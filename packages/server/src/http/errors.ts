import { type ErrorCode, SnugError } from "@snug/protocol";
import type { FastifyReply } from "fastify";
import { isFault } from "../store/faults.ts";

const statuses: Readonly<Record<ErrorCode, number>> = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  "not-found": 404,
  "id-conflict": 409,
  "out-of-order": 409,
  "stale-epoch": 409,
  "rolled-back": 409,
  "incarnation-changed": 409,
  policy: 403,
  quota: 413,
  "too-large": 413,
  "too-many": 429,
  upgrade: 426,
  "name-taken": 409,
  "name-invalid": 400,
  "invite-invalid": 403,
  conflict: 409,
  unavailable: 503,
  internal: 500,
};

/** Answers `{ code, message }` with the code's status. */
export function sendError(reply: FastifyReply, error: SnugError): FastifyReply {
  const { code, message } = error;
  return reply.code(statuses[code]).header("cache-control", "no-store").send({ code, message });
}

/** Faults of ours and Fastify's refusals as errors of the closed list; `report` takes what has to be looked at. */
export function toSnugError(
  cause: Error & { statusCode?: number | undefined },
  report: (cause: unknown) => void,
): SnugError {
  if (cause instanceof SnugError) {
    if (isFault(cause)) report(cause);
    return cause;
  }
  const status = cause.statusCode ?? 500;
  if (status === 413) return new SnugError("too-large", "the body is too large");
  if (status < 500) return new SnugError("malformed", "the request is not of its form");
  report(cause);
  return new SnugError("internal", "the server failed; it has been logged");
}
