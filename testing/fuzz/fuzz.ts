import { type ClientReport, fuzzClient } from "./hostileServer.ts";
import { type Finding, fuzzInProcess, type InProcessReport } from "./inProcess.ts";
import { fuzzOverWire, type WireReport } from "./overWire.ts";

export interface FuzzReport {
  readonly cases: number;
  readonly seed: number;
  readonly decoders: InProcessReport;
  readonly wire: WireReport;
  readonly client: ClientReport;
  readonly findings: readonly Finding[];
}

/** Of a thousand cases so many go over the wire as frames and as HTTP requests, and to a whole client; the rest to decoders. */
const shares = { frames: 50, requests: 25, client: 1 } as const;
/** More are no use: what is new in a frame or a request is tried without a network, and each of a client's takes a new link. */
const most = { frames: 250_000, requests: 125_000, client: 2000 } as const;

/** So many cases against everything that takes bytes of others. Throws when a client fails over one. */
export async function fuzz(of: { readonly cases: number; readonly seed: number }): Promise<FuzzReport> {
  const { cases, seed } = of;
  const part = (of: keyof typeof shares): number =>
    Math.min(most[of], Math.ceil((cases * shares[of]) / 1000));
  const [frames, requests, toClient] = [part("frames"), part("requests"), part("client")];
  const [decoders, wire] = await Promise.all([
    fuzzInProcess({ cases: cases - frames - requests - toClient, seed }),
    fuzzOverWire({ frames, requests, seed }),
  ]);
  const client = await fuzzClient({ cases: toClient, seed });
  const tried = decoders.cases + frames + requests + toClient;
  return { cases: tried, seed, decoders, wire, client, findings: [...decoders.findings, ...wire.findings] };
}
