import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeInviteLink } from "@snug/protocol";
import { joinByInvite, letterTo } from "../../../testing/wire.ts";
import { pair } from "./people.ts";

test("H3: letters that can't be opened are one notice for each sender, again after it was put away", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  const invite = decodeInviteLink(await alice.client.invite({ uses: 1 }));
  const mallory = await joinByInvite(server, "Mallory", invite);
  await using wire = await mallory.connect();
  const { entries } = await wire.request("directory-read", { from: 0 });
  const stream = entries[1]?.inbox;
  assert.ok(stream);
  const refusals = async (): Promise<number> => (await bob.store.list({ table: "refused" })).length;
  const send = async (counter: number): Promise<unknown> => wire.request("submit", letterTo(stream, counter));
  for (let counter = 1; counter <= 30; counter++) await send(counter);
  await alice.client.send(bob.account, "between");
  await bob.arrivals(1);
  assert.equal(await refusals(), 30);
  assert.equal(bob.state.notices.length, 1);
  const [notice] = bob.state.notices;
  assert.match(notice?.text ?? "", /said to be from Mallory was refused: /);
  await bob.client.dismissNotice(notice?.id ?? -1);
  await send(31);
  await bob.until("told again", (state) => state.phase === "joined" && state.notices.length === 1);
  assert.equal(await refusals(), 31);
});
