import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { createServer } from "../plainHttp.ts";
import { StartError } from "../startError.ts";
import { expositionType } from "./exposition.ts";

/** Where the metrics are shown. */
export interface MetricsAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** What the listener shows. */
export interface Shown {
  readonly text: () => string;
  readonly isWell: () => Promise<boolean>;
}

/** Plain HTTP with `/metrics` and `/healthz`, for the operator's own network. */
export interface MetricsListener extends AsyncDisposable {
  readonly url: string;
}

/** Throws StartError when the address can't be had. */
export async function listenForMetrics(
  { host, port }: MetricsAddress,
  shown: Shown,
): Promise<MetricsListener> {
  const atHome = isLoopback(host);
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 65_000, maxHeaderSize: 8192 },
    (request, response) => void answer(request, response, { ...shown, atHome }),
  );
  server.maxConnections = 32;
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new StartError(
      `the metrics can't be shown on ${host} port ${port} (${code}); give another with --metrics`,
      {
        cause,
      },
    );
  }
  const address = server.address();
  const bound = typeof address === "object" && address ? address.port : port;
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}/metrics`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  of: Shown & { readonly atHome: boolean },
): Promise<void> {
  const send = (status: number, body: string, type = "text/plain; charset=utf-8"): void => {
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
  };
  // A page of another site that rebound its name to this computer gets nothing.
  const name = (request.headers.host ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  if (of.atHome && !isLoopback(name)) return send(421, "this listener has another name\n");
  if (request.method !== "GET") return send(405, "only GET\n");
  if (request.url === "/metrics") return send(200, of.text(), expositionType);
  if (request.url !== "/healthz") return send(404, "there are /metrics and /healthz\n");
  const well = await of.isWell();
  send(well ? 200 : 503, well ? "ok\n" : "unavailable\n");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
