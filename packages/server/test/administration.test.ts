import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  LibraryView,
  limits,
  type ResponseOf,
  type StatementBody,
  type StatementKind,
  type TitleId,
} from "@snug/protocol";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { accountIn, addDevice, directoryOver, statementOf } from "../../../testing/statements.ts";
import {
  inviteRaw,
  joinByInvite,
  joinRaw,
  letterTo,
  type RawDevice,
  type RawInvite,
  type RawPerson,
  sees,
  signInRaw,
  type Wire,
} from "../../../testing/wire.ts";
import { refused } from "./refused.ts";

const videos = fileURLToPath(new URL("../../../videos", import.meta.url));

/** Everything that lets a device in: its connection, a token, a cookie, a grant, and an invite of its account. */
interface Passes {
  readonly wire: Wire & { readonly signedIn: ResponseOf<"sign-in"> };
  readonly token: string;
  readonly cookie: string;
  readonly grant: string;
  readonly invite: RawInvite;
}

async function passesOf(server: BootedServer, device: RawDevice): Promise<Passes> {
  const wire = await signInRaw(server, device);
  const { token } = await wire.request("token-create", {});
  const title = await sample(server, wire, token);
  const made = await fetch(`${server.localUrl}/api/session`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const cookie = (made.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const { path: grant } = await wire.request("grant-create", { title });
  const invite = await inviteRaw(wire, device.account);
  return { wire, token, cookie, grant, invite };
}

async function sample(server: BootedServer, wire: Wire, token: string): Promise<TitleId> {
  for (;;) {
    const answer = await fetch(`${server.localUrl}/api/library`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { titles } = LibraryView.parse(await answer.json());
    const playable = titles.find(({ state }) => state === "playable");
    if (playable && titles.every(({ state }) => state !== "preparing")) return playable.id;
    await wire.next("library");
  }
}

/** How the server answers token, cookie and grant. */
async function answers(server: BootedServer, { token, cookie, grant }: Passes): Promise<number[]> {
  const status = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(`${server.localUrl}${path}`, { headers })).status;
  return [
    await status("/api/library", { authorization: `Bearer ${token}` }),
    await status("/api/library", { cookie }),
    await status(grant),
  ];
}

const open = [200, 200, 200];
const shut = [401, 401, 404];

/** Three people; the first rules. */
async function room(server: BootedServer): Promise<readonly [RawPerson, RawPerson, RawPerson]> {
  return [await joinRaw(server, "alice"), await joinRaw(server, "bob"), await joinRaw(server, "carol")];
}

test("P22 I25: a removed account has no connection, token, cookie, grant or invite left, and everybody is shown why", async () => {
  await using server = await bootServer({ videos });
  const [alice, bob, carol] = await room(server);
  await using byAlice = await alice.connect();
  await using byCarol = await carol.connect();
  const passes = await passesOf(server, { ...bob.created });
  await sees(byCarol, bob, true);
  assert.deepEqual(await answers(server, passes), open);
  const statement = await statementOf({ server, wire: byAlice, person: alice }, "account-remove", {
    account: bob.account,
  });
  const { index } = await byAlice.request("statement-append", { statement });
  assert.deepEqual(await answers(server, passes), shut);
  assert.equal(await passes.wire.closed, 4403);
  await refused({ code: "invite-invalid" }, joinByInvite(server, "eve", passes.invite));
  const pushed = await byCarol.next("directory");
  assert.deepEqual([pushed.from, pushed.entries[0]?.statement], [index, statement]);
  await sees(byCarol, bob, false);
  await refused({ code: "policy" }, byCarol.request("submit", letterTo(bob.inbox, 1)));
  // P7: nothing tells a removed account from one that never was.
  const refusal = { code: "unauthenticated" as const, message: await strangersRefusal(server, carol) };
  await refused(refusal, bob.connect());
});

/** What signing in answers for an account that nobody has. */
async function strangersRefusal(server: BootedServer, like: RawPerson): Promise<string> {
  const { keys, device } = like.created;
  const nobody = { account: server.serverId as string as RawPerson["account"], device, keys };
  return signInRaw(server, nobody).then(
    () => "let in",
    (error: Error) => error.message,
  );
}

for (const [how, by] of [
  ["device-end", "an administrator"],
  ["device-revoke", "its own account"],
] as const) {
  test(`P22 I12 I26: a device ended by ${by} is gone at once with all it was let in by; the account's other one stays`, async () => {
    await using server = await bootServer({ videos });
    const [alice, bob] = await room(server);
    const tablet = await addDevice(server, bob);
    const lost = await passesOf(server, tablet);
    const kept = await passesOf(server, { ...bob.created });
    await using byAlice = await alice.connect();
    const statement =
      how === "device-end"
        ? await statementOf({ server, wire: byAlice, person: alice }, how, {
            account: bob.account,
            device: tablet.device,
          })
        : await statementOf({ server, wire: kept.wire, person: bob }, how, { device: tablet.device });
    const asker = how === "device-end" ? byAlice : kept.wire;
    await asker.request("statement-append", { statement });
    assert.deepEqual(await answers(server, lost), shut);
    assert.equal(await lost.wire.closed, 4403);
    const message = await strangersRefusal(server, bob);
    await refused({ code: "unauthenticated", message }, signInRaw(server, tablet));
    assert.deepEqual(await answers(server, kept), open);
    // P19: whoever had the device had the secrets of the account's open links.
    assert.deepEqual(await kept.wire.request("invite-list", {}), { invites: [] });
    await refused({ code: "invite-invalid" }, joinByInvite(server, "eve", lost.invite));
    assert.equal((await kept.wire.request("submit", letterTo(alice.inbox, 1))).seq, 1);
    const after = accountIn(await directoryOver(server, byAlice), bob.account);
    const ended = after.devices.get(tablet.device);
    assert.deepEqual(
      [ended?.revoked, ended?.endedBy],
      [true, how === "device-end" ? alice.account : bob.account],
    );
    await kept.wire[Symbol.asyncDispose]();
  });
}

test("I25 I26 I27: the server refuses what the replay refuses, and nothing of it is in the log", async () => {
  await using server = await bootServer();
  const [alice, bob, carol] = await room(server);
  await using byAlice = await alice.connect();
  await using byBob = await bob.connect();
  const size = async (): Promise<number> => (await byAlice.request("directory-read", { from: 0 })).size;
  const before = await size();
  const tryBy = async <K extends StatementKind>(
    person: RawPerson,
    wire: Wire,
    ...[kind, body]: [K, StatementBody<K>]
  ): Promise<unknown> => {
    const statement = await statementOf({ server, wire, person }, kind, body);
    return wire.request("statement-append", { statement });
  };
  const { account } = carol;
  const { device } = carol.created;
  await refused({ code: "forbidden" }, tryBy(bob, byBob, "account-remove", { account }));
  await refused({ code: "forbidden" }, tryBy(bob, byBob, "device-end", { account, device }));
  await refused({ code: "forbidden" }, tryBy(bob, byBob, "role", { account, role: "admin" }));
  await refused({ code: "forbidden" }, tryBy(alice, byAlice, "account-remove", { account: alice.account }));
  await refused(
    { code: "policy" },
    tryBy(alice, byAlice, "role", { account: alice.account, role: "member" }),
  );
  assert.equal(await size(), before);
  // An account whose last device was ended is there, and its letters wait.
  await tryBy(alice, byAlice, "device-end", { account, device });
  assert.equal((await byBob.request("submit", letterTo(carol.inbox, 1))).seq, 1);
  await refused({ code: "conflict" }, tryBy(alice, byAlice, "device-end", { account, device }));
});

test("P13: a device whose time has come is let in no more, is let go at the next ping, and its passes open nothing", async ({
  mock,
}) => {
  // The one timer of the server that asks its links, in this test's hand.
  mock.timers.enable({ apis: ["setInterval"] });
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const start = Date.now();
  const ends = start + 3_600_000 / 2;
  const lent = await addDevice(server, alice, { ends });
  await using wire = await signInRaw(server, lent);
  await using other = await alice.connect();
  const { token } = await wire.request("token-create", {});
  const library = async (): Promise<number> =>
    (await fetch(`${server.localUrl}/api/library`, { headers: { authorization: `Bearer ${token}` } })).status;
  assert.equal(await library(), 200);
  mock.method(Date, "now", () => ends - 1);
  mock.timers.tick(limits.ping);
  assert.equal((await wire.request("submit", letterTo(alice.inbox, 1))).seq, 1);
  mock.method(Date, "now", () => ends);
  // What it asks for by HTTP is over at once; its connection lives until it is asked.
  assert.equal(await library(), 401);
  await refused({ code: "unauthenticated" }, signInRaw(server, lent));
  mock.timers.tick(limits.ping);
  assert.equal(await wire.closed, 4403);
  assert.equal((await other.request("directory-read", { from: 0 })).size, 2);
});
