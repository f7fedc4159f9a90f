import assert from "node:assert/strict";
import { it } from "node:test";
import {
  admitHash,
  admitOf,
  applyStatements,
  emptyDirectory,
  generateLogKey,
  nextHead,
} from "@snug/crypto/identity";
import { signStatement } from "@snug/crypto/sealing";
import {
  AccountId,
  DeviceId,
  LibraryView,
  type OperationName,
  operations,
  protocolVersion,
  type ResponseOf,
  type Row,
  randomId,
  SnugError,
  type SocketOperation,
  sha256,
  type TitleId,
  toBase64url,
} from "@snug/protocol";
import { eventually } from "./browser.ts";
import { bootServer } from "./server.ts";
import { inviteRaw, joinRaw, letterTo, type RawPerson, Wire, type WireServer } from "./wire.ts";

/** Who asks, and whose thing they ask for. */
const callers = ["nobody", "ended device", "own", "another's", "admin, another's"] as const;
type Caller = (typeof callers)[number];
/** "ok", or the code that every such call must get. */
type Expected = Readonly<Record<Caller, string>>;

const inside = (own: string, foreign: string, admin = foreign): Expected => ({
  nobody: "unauthenticated",
  "ended device": "unauthenticated",
  own,
  "another's": foreign,
  "admin, another's": admin,
});
const everybody = (answer: string): Expected => ({
  nobody: answer,
  "ended device": answer,
  own: answer,
  "another's": answer,
  "admin, another's": answer,
});

/** The matrix (P29): every operation of the table stands here, or this file does not compile. */
const matrix: Readonly<Record<OperationName, Expected>> = {
  // With a wrong signature, and once more on a connection that is signed in.
  "sign-in": { ...everybody("malformed"), nobody: "unauthenticated", "ended device": "unauthenticated" },
  "directory-read": inside("ok", "ok"),
  "statement-append": inside("ok", "forbidden"),
  submit: inside("ok", "ok"),
  "stream-read": inside("ok", "not-found"),
  "stream-cursor": inside("ok", "not-found"),
  "delivery-read": inside("ok", "nothing"),
  "invite-create": inside("ok", "conflict"),
  "invite-list": inside("ok", "nothing"),
  "invite-revoke": inside("ok", "not-found"),
  "token-create": inside("ok", "ok"),
  "grant-create": inside("ok", "ok"),
  "block-set": inside("policy", "ok"),
  "block-list": inside("ok", "nothing"),
  "sign-out": inside("ok", "ok"),
  // This server never was restored; a restored one is asked in the tests of D20–D22.
  "restore-statements": inside("policy", "policy"),
  "restore-compare": inside("policy", "not-found"),
  "restore-rows": inside("policy", "not-found"),
  "restore-done": inside("policy", "policy"),
  "invite-look": everybody("ok"),
  join: everybody("invite-invalid"),
  "session-create": inside("ok", "ok"),
  "library-read": inside("ok", "ok"),
  "title-read": inside("ok", "ok"),
};

/** What a caller has to ask with: a connection and a token of its own, each as good as its rights are. */
interface Asker {
  readonly wire: Wire;
  readonly token: string | null;
}

/** The things of the person who is asked about. */
interface Things {
  readonly person: RawPerson;
  readonly title: TitleId;
  readonly inviteHash: string;
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

async function overHttp(server: WireServer, name: OperationName, asker: Asker, of: Things): Promise<string> {
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
    headers: {
      ...(transport.method === "POST" ? { "content-type": "application/json" } : {}),
      ...(asker.token === null ? {} : { authorization: `Bearer ${asker.token}` }),
    },
    ...(transport.method === "POST" ? { body: JSON.stringify(posts[name] ?? {}) } : {}),
  });
  const body = (await answer.json()) as { code?: string };
  return answer.ok ? "ok" : (body.code ?? String(answer.status));
}

it("P29: every caller gets exactly what the matrix says, for every operation of the table", {
  timeout: 120_000,
}, async () => {
  assert.deepEqual(Object.keys(matrix).sort(), Object.keys(operations).sort());
  await using server = await bootServer({ videos: new URL("../videos", import.meta.url).pathname });
  const admin = await joinRaw(server, "admin");
  const [alice, bob, gone] = [
    await joinRaw(server, "alice"),
    await joinRaw(server, "bob"),
    await joinRaw(server, "gone"),
  ];
  const endedToken = await end(server, gone);
  const title = await someTitle(server, admin);

  const wrong: string[] = [];
  for (const name of Object.keys(operations) as OperationName[]) {
    for (const caller of callers) {
      const things = await thingsOf(server, alice, {
        bob,
        title,
        // An account has at most a hundred of them.
        inviteOpen: name.startsWith("invite-") && (name !== "invite-create" || caller !== "own"),
      });
      await using wire = await connect(server, caller, { alice, bob, admin });
      const token = await tokenFor(caller, wire, endedToken);
      const got =
        operations[name].transport === "socket"
          ? await answerOf(
              wire.request(
                name as SocketOperation,
                bodies[name as SocketOperation](things, counterFor(wire, alice)) as never,
              ),
              things,
            )
          : await overHttp(server, name, { wire, token }, things);
      if (got !== matrix[name][caller])
        wrong.push(`${caller}: ${name} is ${got}, not ${matrix[name][caller]}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** A connection as good as its caller: not signed in for who has no rights. */
async function connect(
  server: WireServer,
  caller: Caller,
  { alice, bob, admin }: { alice: RawPerson; bob: RawPerson; admin: RawPerson },
): Promise<Wire> {
  if (caller === "nobody" || caller === "ended device") return Wire.open(server);
  return (caller === "own" ? alice : caller === "another's" ? bob : admin).connect();
}

async function tokenFor(caller: Caller, wire: Wire, ended: string): Promise<string | null> {
  if (caller === "nobody") return null;
  if (caller === "ended device") return ended;
  return (await wire.request("token-create", {})).token;
}

/** The next send counter of the connection's device to Alice's inbox. */
function counterFor(
  wire: Wire & { readonly signedIn?: { counters: { stream: string; counter: number }[] } },
  to: RawPerson,
) {
  return () => (wire.signedIn?.counters.find(({ stream }) => stream === to.inbox)?.counter ?? 0) + 1;
}

/** Leaves the server, and returns the token that was good before. */
async function end(server: WireServer, person: RawPerson): Promise<string> {
  await using wire = await person.connect();
  const { token } = await wire.request("token-create", {});
  await wire
    .request("statement-append", { statement: await statementOf({ server, wire }, person, "remove") })
    .catch(() => undefined);
  await wire.closed;
  return token;
}

async function statementOf(
  { server, wire }: { server: WireServer; wire: Wire },
  person: RawPerson,
  kind: "remove" | "device-add",
): Promise<Uint8Array<ArrayBuffer>> {
  const { entries } = await wire.request("directory-read", { from: 0 });
  const { directory } = await applyStatements(
    emptyDirectory(server.serverId),
    entries.map(({ statement }) => statement),
  );
  const account = directory.accounts.get(person.account);
  assert.ok(account);
  const head = nextHead(directory, person.account, Date.now());
  const by = { key: person.created.keys.signing, keyId: account.signingKeyId, head };
  if (kind === "remove") return signStatement({ ...by, kind, body: {} });
  const { public: key } = await generateLogKey();
  const body = { device: randomId(DeviceId), key, rights: "send-only", ends: null } as const;
  return signStatement({ ...by, kind, body });
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
  { bob, title, inviteOpen }: { bob: RawPerson; title: TitleId; inviteOpen: boolean },
): Promise<Things> {
  await using wire = await alice.connect();
  const statement = await statementOf({ server, wire }, alice, "device-add");
  const counter = (wire.signedIn.counters.find(({ stream }) => stream === bob.inbox)?.counter ?? 0) + 1;
  const letter = letterTo(bob.inbox, counter);
  const { seq } = await wire.request("submit", letter);
  await using reader = await bob.connect();
  await reader.request("stream-cursor", { stream: bob.inbox, incarnation: bob.incarnation, seq });
  // Somebody who is asked about nowhere else.
  const { entries } = await wire.request("directory-read", { from: 3 });
  const nobody = AccountId.parse(await sha256(entries[0]?.statement ?? new Uint8Array()));
  await wire.request("block-set", { account: nobody, blocked: true });
  const secret = inviteOpen
    ? (await inviteRaw(wire, alice.account)).secret
    : crypto.getRandomValues(new Uint8Array(16));
  const admit = await admitOf(secret);
  return {
    person: alice,
    title,
    inviteHash: await admitHash(admit),
    admit: toBase64url(admit),
    statement,
    delivered: letter.id,
    blocked: nobody,
  };
}
