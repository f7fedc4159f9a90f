import {
  type ErrorCode,
  errorCodes,
  type OperationName,
  operations,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type SocketOperation,
} from "@snug/protocol";
import { z } from "zod";
import { NetworkError } from "./api.ts";
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
  const sent: HttpRequest =
    transport.method === "GET" ? { method: "GET", path } : { method: "POST", path, body: request as unknown };
  const answer = await at.platform.fetch(at.address, at.token ? { ...sent, token: at.token } : sent);
  if (answer.status >= 200 && answer.status < 300) {
    const parsed = response.safeParse(answer.body);
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
