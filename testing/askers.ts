import type { TestContext } from "node:test";
import { operations, type StatementBody, type StatementKind } from "@snug/protocol";
import { addDevice, statementOf } from "./statements.ts";
import { joinRaw, type RawDevice, type RawPerson, signInRaw, Wire, type WireServer } from "./wire.ts";

/** Who asks, and whose thing they ask for. */
export const callers = [
  "nobody",
  "expired token",
  "revoked device",
  "removed account",
  "own",
  "own, send-only",
  "another's",
  "admin, another's",
] as const;
export type Caller = (typeof callers)[number];

/** What a caller has to ask with, each as good as its rights are. */
export interface Asker {
  /** How it gets its connection; who is not let in rejects. */
  connect(): Promise<Wire>;
  /** A bearer token, and the value of a session's cookie. */
  readonly passes: { readonly token: string; readonly cookie: string } | null;
}

/** Makes the means of those who are let in anew for each call: what one operation ends must not be missing in the next. */
export async function askersOf(
  server: WireServer,
  { admin, alice, bob }: { admin: RawPerson; alice: RawPerson; bob: RawPerson },
  mock: TestContext["mock"],
): Promise<Readonly<Record<Caller, () => Promise<Asker>>>> {
  const gone = await joinRaw(server, "gone");
  const [removed, revoked] = [await askerOf(server, gone.created), await revokedAsker(server, alice)];
  await appended(server, admin, "account-remove", { account: gone.account });
  const bot = await addDevice(server, alice, { rights: "send-only" });
  // Of yesterday: the token's hour is over, and so are the cookie's twelve.
  const clock = Date.now();
  mock.method(Date, "now", () => clock - 24 * 3_600_000);
  const expired = await askerOf(server, alice.created);
  mock.restoreAll();
  const header = { authorization: `Bearer ${expired.passes?.token}` };
  return {
    nobody: async () => ({ connect: () => Wire.open(server), passes: null }),
    "expired token": async () => ({ ...expired, connect: () => Wire.open(server, header) }),
    "revoked device": async () => revoked,
    "removed account": async () => removed,
    own: () => askerOf(server, alice.created),
    "own, send-only": async () => ({ connect: () => signInRaw(server, bot), passes: null }),
    "another's": () => askerOf(server, bob.created),
    "admin, another's": () => askerOf(server, admin.created),
  };
}

async function askerOf(server: WireServer, device: RawDevice): Promise<Asker> {
  const connect = (): Promise<Wire> => signInRaw(server, device);
  await using wire = await connect();
  const { token } = await wire.request("token-create", {});
  const made = await fetch(`${server.localUrl}${operations["session-create"].transport.path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const cookie = /=([A-Za-z0-9_-]{43});/.exec(made.headers.get("set-cookie") ?? "")?.[1] ?? "";
  return { connect, passes: { token, cookie } };
}

/** A further device of somebody whose first one goes on, and what it was let in by until it was revoked. */
async function revokedAsker(server: WireServer, person: RawPerson): Promise<Asker> {
  const tablet = await addDevice(server, person);
  const asker = await askerOf(server, tablet);
  await appended(server, person, "device-revoke", { device: tablet.device });
  return asker;
}

async function appended<K extends StatementKind>(
  server: WireServer,
  person: RawPerson,
  ...[kind, body]: [K, StatementBody<K>]
): Promise<void> {
  await using wire = await person.connect();
  const statement = await statementOf({ server, wire, person }, kind, body);
  await wire.request("statement-append", { statement });
}
