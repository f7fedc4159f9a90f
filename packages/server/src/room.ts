import type { AccountId, DeviceId, Hash, TitleDetail, TitleId } from "@snug/protocol";
import type { Blocks } from "./blocks.ts";
import type { DirectoryLog } from "./directoryLog.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { Passes } from "./passes.ts";
import type { Rates } from "./rates.ts";
import type { Restoring } from "./restoring.ts";
import type { Connections } from "./socket/connections.ts";
import type { Store } from "./store/store.ts";
import type { Turnstile } from "./turnstile.ts";

/** What the operations work with: one running server, seen from inside. */
export interface Room {
  readonly store: Store;
  readonly log: DirectoryLog;
  readonly restoring: Restoring;
  readonly passes: Passes;
  readonly connections: Connections;
  readonly rates: Rates;
  /** Who signs in passes it. */
  readonly turnstile: Turnstile;
  readonly blocks: Blocks;
  readonly titles: Titles;
  readonly facts: RoomFacts;
  /** Nobody joins above it. */
  readonly mostAccounts: number;
  readonly metrics: Metrics;
  /** A device of this incarnation has rows that this server lacks. */
  readonly onBehind: () => void;
  /** ms since 1970 */
  readonly now: () => number;
}

/** What signing in tells of the server. */
export interface RoomFacts {
  readonly serverName: string;
  readonly addresses: string[];
  readonly authority: Hash | null;
}

/** The library, as far as grants need it. */
export interface Titles {
  detail(id: TitleId): Promise<TitleDetail>;
}

/** A signed-in device. */
export interface Principal {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly rights: "full" | "send-only";
}
