import {
  type ErrorCode,
  errorCodes,
  type OperationName,
  type Operations,
  operations,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type SocketOperation,
} from "@snug/protocol";
import { z } from "zod";
import { NetworkError } from "./api.ts";
import { patiently } from "./patience.ts";
import type { Address, HttpRequest, Platform } from "./platform.ts";

export type HttpOperation = Exclude<OperationName, SocketOperation>;

const failure = z.object({ code: z.enum(errorCodes), message: z.string().max(1000) });

/**
 * One HTTP operation of the table. Throws the server's SnugError, or NetworkError when the outcome is unclear: no
 * answer, or one that is not of its form.
 */
export async function callHttp<N extends HttpOperation>(
  at: { readonly platform: Platform; readonly address: Address; readonly token?: string },
  name: N,
  request: RequestOf<N>,
): Promise<ResponseOf<N>> {
  const { transport, response } = operations[name];
  const values = request as Readonly<Record<string, unknown>>;
  const path = transport.path.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(String(values[key])));
  const asked: HttpRequest =
    transport.method === "GET" ? { method: "GET", path } : { method: "POST", path, body: request as unknown };
  const sent = at.token ? { ...asked, token: at.token } : asked;
  return patiently(at.platform, async () => read(name, response, await at.platform.fetch(at.address, sent)));
}

function read<N extends HttpOperation>(
  name: N,
  form: Operations[N]["response"],
  answer: Awaited<ReturnType<Platform["fetch"]>>,
): ResponseOf<N> {
  if (answer.status >= 200 && answer.status < 300) {
    const parsed = form.safeParse(answer.body);
    if (parsed.success) return parsed.data as ResponseOf<N>;
    throw new NetworkError(`${name}: the answer is not of its form`);
  }
  const failed = failure.safeParse(answer.body);
  if (failed.success) throw new SnugError(failed.data.code, failed.data.message);
  const code = byStatus[answer.status];
  if (code) throw new SnugError(code, `${name}: the server answered with status ${answer.status}`);
  throw new NetworkError(`${name}: the server answered with status ${answer.status}`);
}

/** For answers whose body was lost, by a proxy for instance. */
const byStatus: Readonly<Record<number, ErrorCode>> = { 401: "unauthenticated", 429: "too-many" };
