import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { limits } from "@snug/protocol";
import { type Pair, pair } from "../../packages/client/test/people.ts";
import { eventually } from "../browser.ts";
import { refuses } from "../household.ts";
import { bootServer, startAgain } from "../server.ts";
import { inviteRaw, joinByInvite, joinRaw, type RawPerson } from "../wire.ts";

const hour = 3_600_000;
const year = 365 * 24 * hour;
const jumps = [hour, -hour, 10 * year, -10 * year] as const;
const wrong = ["both", "the server", "the clients"] as const;

const real = Date.now;
let wrongBy = 0;
mock.method(Date, "now", () => real() + wrongBy);

/** Sets the clock of the server, which runs in this process; timers are measured by another clock, as by the system's. */
function setServer(by: number): void {
  wrongBy = by;
}

afterEach(() => setServer(0));

/** A letter each way live, and one each way for somebody who is away, in the order in which they were written. */
async function talk({ alice, bob }: Pair, about: string): Promise<string[]> {
  const texts = [`${about}: live`, `${about}: back`, `${about}: kept`, `${about}: after`];
  const [live = "", back = "", kept = "", after = ""] = texts;
  await alice.client.settled(await alice.client.send(bob.account, live));
  await bob.until(live, (state) => state.phase === "joined" && state.threads[0]?.last?.text === live);
  await bob.client.settled(await bob.client.send(alice.account, back));
  await alice.until(back, (state) => state.phase === "joined" && state.threads[0]?.last?.text === back);
  await bob.unplug();
  await alice.client.settled(await alice.client.send(bob.account, kept));
  await bob.plug();
  await bob.until(kept, (state) => state.phase === "joined" && state.threads[0]?.last?.text === kept);
  await alice.client.settled(await alice.client.send(bob.account, after));
  await bob.until(after, (state) => state.phase === "joined" && state.threads[0]?.last?.text === after);
  return texts;
}

for (const whose of wrong) {
  test(`P42, C31: a clock that jumps by an hour and by ten years, forward and back (${whose}), stops no letter and orders none`, async () => {
    await using room = await pair();
    const { alice, bob } = room;
    const expected = await talk(room, "before");
    for (const jump of jumps) {
      const about = `${jump / hour} h`;
      if (whose !== "the clients") setServer(jump);
      if (whose !== "the server") for (const { platform } of [alice, bob]) platform.setClock(jump);
      expected.push(...(await talk(room, `${about}, set`)));
      // The library asks for its token anew where it has to, and reads on.
      assert.equal(alice.state.connection.is, "online");
      await assert.rejects(alice.client.title("AAAAAAAAAAAAAAAAAAAAAA" as never), { code: "not-found" });
      const link = await alice.client.invite({ uses: 1 });
      assert.equal((await bob.client.lookAtInvite(link)).inviterName, "Alice");
      setServer(0);
      if (whose !== "the server") for (const { platform } of [alice, bob]) platform.setClock(-jump);
      expected.push(...(await talk(room, `${about}, set right`)));
      await assert.rejects(alice.client.title("AAAAAAAAAAAAAAAAAAAAAA" as never), { code: "not-found" });
    }
    assert.deepEqual(await alice.texts(bob.account), expected);
    assert.deepEqual(await bob.texts(alice.account), expected);
    for (const { state } of [alice, bob]) assert.deepEqual(state.notices, []);
    for (const { client, account } of [
      { client: alice.client, account: bob.account },
      { client: bob.client, account: alice.account },
    ]) {
      await eventually("all are delivered, without a gap", async () =>
        (await client.letters({ thread: account, most: 1000 })).every(
          ({ state }) => state.is === "delivered" || (state.is === "received" && !state.gapBefore),
        ),
      );
    }
  });
}

test("P42: a start ten years ahead, or behind, forgets no letter that waits", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  await bob.unplug();
  await alice.client.settled(await alice.client.send(bob.account, "waits"));
  await server.close();
  for (const jump of [10 * year, -10 * year]) {
    setServer(jump);
    await (await startAgain(server)).close();
  }
  setServer(0);
  const again = await startAgain(server);
  try {
    await bob.plug();
    assert.deepEqual(await bob.arrivals(1), ["waits"]);
  } finally {
    await again.close();
  }
});

test("P42: what ends at a time ends when the clock is set forward, and lives at most twice as long when it is set back", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "Alice");
  await using wire = await alice.connect();
  const { token } = await wire.request("token-create", {});
  const invite = await inviteRaw(wire, alice.account);
  const library = async (): Promise<number> => {
    const answer = await fetch(`${server.localUrl}/api/library`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return answer.status;
  };
  const comes = (name: string): Promise<RawPerson> => joinByInvite(server, name, invite);
  for (const [by, status] of [
    [0, 200],
    [limits.token - 60_000, 200],
    [limits.token + 60_000, 401],
    [10 * year, 401],
    [60_000 - limits.token, 200],
    [-limits.token - 60_000, 401],
    [-10 * year, 401],
  ] as const) {
    setServer(by);
    assert.equal(await library(), status, `a token, ${by / hour} h`);
  }
  // The invite of `inviteRaw` is for an hour.
  for (const by of [hour + 60_000, 10 * year, -hour - 60_000, -10 * year]) {
    setServer(by);
    await refuses(comes("Late"), "invite-invalid");
  }
  setServer(0);
  await comes("Bob");
});
