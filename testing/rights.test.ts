import assert from "node:assert/strict";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { admitHash, admitOf } from "@snug/crypto/identity";
import {
  AccountId,
  type Hash,
  LibraryView,
  type OperationName,
  operations,
  protocolVersion,
  type ResponseOf,
  type Row,
  SnugError,
  type SocketOperation,
  sha256,
  type TitleId,
  toBase64url,
} from "@snug/protocol";

import { type Asker, askersOf, type Caller, callers } from "./askers.ts";
import { eventually } from "./browser.ts";
import { bootServer } from "./server.ts";
import { newDevice, statementOf } from "./statements.ts";
import { inviteRaw, joinRaw, letterTo, type RawPerson, type Wire, type WireServer } from "./wire.ts";

/** "ok", or the code that every such call must get. */
type Expected = Readonly<Record<Caller, string>>;

/** The same for all whom nothing lets in, or not any more. */
const outside = (answer: string) => ({
  nobody: answer,
  "expired token": answer,
  "revoked device": answer,
  "removed account": answer,
});
/** A send-only device writes letters, and asks for what it needs for that; an administrator asks like anybody else. */
const inside = (own: string, foreign: string, sendOnly = "forbidden"): Expected => ({
  ...outside("unauthenticated"),
  own,
  "own, send-only": sendOnly,
  "another's": foreign,
  "admin, another's": foreign,
});
const everybody = (answer: string): Expected => ({
  ...outside(answer),
  own: answer,
  "own, send-only": answer,
  "another's": answer,
  "admin, another's": answer,
});

/** The matrix (P29): every operation of the table stands here, or this file does not compile. */
const matrix: Readonly<Record<OperationName, Expected>> = {
  // With a wrong signature, and once more on a connection that is signed in.
  "sign-in": { ...everybody("malformed"), ...outside("unauthenticated") },
  "directory-read": inside("ok", "ok", "ok"),
  "statement-append": inside("ok", "forbidden"),
  submit: inside("ok", "ok", "ok"),
  "stream-read": inside("ok", "not-found", "not-found"),
  "stream-cursor": inside("ok", "not-found", "not-found"),
  "delivery-read": inside("ok", "nothing", "ok"),
  "invite-create": inside("ok", "conflict"),
  "invite-list": inside("ok", "nothing"),
  "invite-revoke": inside("ok", "not-found"),
  "token-create": inside("ok", "ok"),
  "grant-create": inside("ok", "ok"),
  "block-set": inside("policy", "ok"),
  "block-list": inside("ok", "nothing"),
  "sign-out": inside("ok", "ok", "ok"),
  // This server never was restored; a restored one is asked in the tests of D20–D22.
  "restore-statements": inside("policy", "policy", "policy"),
  "restore-compare": inside("policy", "not-found", "not-found"),
  "restore-rows": inside("policy", "not-found", "not-found"),
  "restore-done": inside("policy", "policy", "policy"),
  "invite-look": everybody("ok"),
  join: everybody("invite-invalid"),
  // It has no token to ask by.
  "session-create": inside("ok", "ok", "unauthenticated"),
  "library-read": inside("ok", "ok", "unauthenticated"),
  "title-read": inside("ok", "ok", "unauthenticated"),
};

/** The things of the person who is asked about. */
interface Things {
  readonly person: RawPerson;
  readonly title: TitleId;
  readonly inviteHash: Hash;
  readonly admit: string;
  readonly statement: Uint8Array;
  readonly delivered: string;
  /** Whom the person has blocked. */
  readonly blocked: AccountId;
}

const bodies: Readonly<Record<SocketOperation, (of: Things, fresh: () => number) => unknown>> = {
  "sign-in": ({ person }) => ({
    version: protocolVersion,
    account: person.account,
    device: person.created.device,
    signature: new Uint8Array(64).fill(1),
  }),
  "directory-read": () => ({ from: 0 }),
  "statement-append": ({ statement }) => ({ statement }),
  submit: ({ person }, fresh) => letterTo(person.inbox, fresh()),
  "stream-read": ({ person }) => ({ stream: person.inbox, incarnation: person.incarnation, after: 0 }),
  "stream-cursor": ({ person }) => ({ stream: person.inbox, incarnation: person.incarnation, seq: 0 }),
  "delivery-read": ({ delivered }) => ({ ids: [delivered] }),
  "invite-create": ({ inviteHash }) => ({ hash: inviteHash, uses: 1, lifetime: 60_000 }),
  "invite-list": () => ({}),
  "invite-revoke": ({ inviteHash }) => ({ hash: inviteHash }),
  "token-create": () => ({}),
  "grant-create": ({ title }) => ({ title }),
  // Nobody blocks themselves; anybody may block and unblock anybody else.
  "block-set": ({ person }) => ({ account: person.account, blocked: false }),
  "block-list": () => ({}),
  "sign-out": () => ({}),
  "restore-statements": () => ({ from: 0, entries: [], checkpoint: "" }),
  "restore-compare": ({ person }) => ({ stream: person.inbox, seqs: [1] }),
  "restore-rows": ({ person }) => ({ stream: person.inbox, rows: [someRow(person)] }),
  "restore-done": () => ({ counters: [] }),
};

/** A row of somebody's inbox, as their own device would bring it back. */
function someRow({ account, created, inbox, incarnation }: RawPerson): Row {
  const hash = account as string as Row["sealedHash"];
  const row = { ...letterTo(inbox, 1), account, device: created.device, incarnation, seq: 1, accepted: 1 };
  return {
    ...row,
    class: "durable",
    generation: null,
    epoch: null,
    sealedHash: hash,
    previous: hash,
    rowHash: hash,
  };
}

/** "nothing" is an answer without what was asked for. */
async function answerOf(work: Promise<unknown>, of: Things): Promise<string> {
  try {
    const answer = (await work) as Partial<
      ResponseOf<"invite-list"> & ResponseOf<"delivery-read"> & ResponseOf<"block-list">
    >;
    const lists: (string[] | undefined)[] = [
      answer.invites?.map(({ hash }) => hash),
      ...[answer.delivered, answer.accounts],
    ];
    const wanted: string[] = [of.inviteHash, of.delivered, of.blocked];
    return lists.some((list) => list && !list.some((one) => wanted.includes(one))) ? "nothing" : "ok";
  } catch (error) {
    if (error instanceof SnugError) return error.code;
    throw error;
  }
}

/** The answer over HTTP, by token; where a cookie is taken too, it must be the same by cookie. */
async function overHttp(server: WireServer, name: OperationName, asker: Asker, of: Things): Promise<string> {
  const { transport } = operations[name];
  assert.ok(transport !== "socket");
  const { passes } = asker;
  if (!passes) return call(server, name, {}, of);
  const byToken = await call(server, name, { authorization: `Bearer ${passes.token}` }, of);
  if (transport.method !== "GET") return byToken;
  const byCookie = await call(
    server,
    name,
    { cookie: `__Host-snug-${server.serverId}=${passes.cookie}` },
    of,
  );
  return byCookie === byToken ? byToken : `${byToken} by token, ${byCookie} by cookie`;
}

async function call(
  server: WireServer,
  name: OperationName,
  headers: Record<string, string>,
  of: Things,
): Promise<string> {
  const { transport } = operations[name];
  assert.ok(transport !== "socket");
  const posts: Partial<Record<OperationName, unknown>> = {
    "invite-look": { admit: of.admit },
    join: {
      admit: toBase64url(new Uint8Array(32)),
      genesis: toBase64url(of.person.created.genesis.slice(1)),
      recovery: "AAAA",
    },
  };
  const answer = await fetch(`${server.localUrl}${transport.path.replace(":title", of.title)}`, {
    method: transport.method,
    headers: { ...(transport.method === "POST" ? { "content-type": "application/json" } : {}), ...headers },
    ...(transport.method === "POST" ? { body: JSON.stringify(posts[name] ?? {}) } : {}),
  });
  const body = (await answer.json()) as { code?: string };
  return answer.ok ? "ok" : (body.code ?? String(answer.status));
}

/** Who is not let in gets the answer to signing in. */
function overSocket(name: SocketOperation, asker: Asker, of: Things): Promise<string> {
  const asking = async (): Promise<unknown> => {
    await using wire = await asker.connect();
    return await wire.request(name, bodies[name](of, counterFor(wire, of.person)) as never);
  };
  return answerOf(asking(), of);
}

it("P29: every caller gets exactly what the matrix says, for every operation of the table", async ({
  mock,
}) => {
  assert.deepEqual(Object.keys(matrix).sort(), Object.keys(operations).sort());
  await using server = await bootServer({ videos: fileURLToPath(new URL("../videos", import.meta.url)) });
  const admin = await joinRaw(server, "admin");
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  const title = await someTitle(server, admin);
  const askers = await askersOf(server, { admin, alice, bob }, mock);

  const wrong: string[] = [];
  // What a device may do once a second only is done once for many calls.
  let open: Uint8Array | null = null;
  const blocked = await nobodyElse(admin);
  await block(alice, blocked);
  for (const name of Object.keys(operations) as OperationName[]) {
    for (const caller of callers) {
      open ??= await openInvite(alice);
      const fresh = name === "invite-create" && caller === "own";
      const secret = fresh ? crypto.getRandomValues(new Uint8Array(16)) : open;
      const things = await thingsOf(server, alice, { bob, title, secret, blocked });
      const asker = await askers[caller]();
      const got =
        operations[name].transport === "socket"
          ? await overSocket(name as SocketOperation, asker, things)
          : await overHttp(server, name, asker, things);
      if (got !== matrix[name][caller])
        wrong.push(`${caller}: ${name} is ${got}, not ${matrix[name][caller]}`);
      if (name === "invite-revoke" && got === "ok") open = null;
    }
  }
  assert.deepEqual(wrong, []);
});

/** The next send counter of the connection's device to Alice's inbox. */
function counterFor(
  wire: Wire & { readonly signedIn?: { counters: { stream: string; counter: number }[] } },
  to: RawPerson,
) {
  return () => (wire.signedIn?.counters.find(({ stream }) => stream === to.inbox)?.counter ?? 0) + 1;
}

async function openInvite(of: RawPerson): Promise<Uint8Array> {
  await using wire = await of.connect();
  return (await inviteRaw(wire, of.account)).secret;
}

async function block(by: RawPerson, account: AccountId): Promise<void> {
  await using wire = await by.connect();
  await wire.request("block-set", { account, blocked: true });
}

/** Somebody who is asked about nowhere else: who joined behind the three who are. */
async function nobodyElse(by: RawPerson): Promise<AccountId> {
  await using wire = await by.connect();
  const { entries } = await wire.request("directory-read", { from: 3 });
  return AccountId.parse(await sha256(entries[0]?.statement ?? new Uint8Array()));
}

async function someTitle(server: WireServer, person: RawPerson): Promise<TitleId> {
  await using wire = await person.connect();
  const { token } = await wire.request("token-create", {});
  return eventually("a playable title", async () => {
    const answer = await fetch(`${server.localUrl}/api/library`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { titles } = LibraryView.parse(await answer.json());
    return titles.find(({ state }) => state === "playable")?.id;
  });
}

/** Fresh things of Alice for one call: an open invite, a statement that follows, a letter of hers that arrived. */
async function thingsOf(
  server: WireServer,
  alice: RawPerson,
  of: { bob: RawPerson; title: TitleId; secret: Uint8Array; blocked: AccountId },
): Promise<Things> {
  const { bob, title, secret, blocked } = of;
  await using wire = await alice.connect();
  const { entry } = await newDevice(alice.account, { rights: "send-only" });
  const statement = await statementOf({ server, wire, person: alice }, "device-add", entry);
  const counter = (wire.signedIn.counters.find(({ stream }) => stream === bob.inbox)?.counter ?? 0) + 1;
  const letter = letterTo(bob.inbox, counter);
  const { seq } = await wire.request("submit", letter);
  await using reader = await bob.connect();
  await reader.request("stream-cursor", { stream: bob.inbox, incarnation: bob.incarnation, seq });
  const admit = await admitOf(secret);
  return {
    person: alice,
    title,
    inviteHash: await admitHash(admit),
    admit: toBase64url(admit),
    statement,
    delivered: letter.id,
    blocked,
  };
}
