import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { assertRefused, createPlace, type Place } from "./place.ts";

suite("administration by command line", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  before(async () => {
    place = opened.use(await createPlace());
    const server = opened.use(await place.serve());
    const input = `${server.listening.setupLink}\n`;
    await place.ok(["join", "-", "--name", "Anna"], { home: "anna", input });
    for (const name of ["Bela", "Cleo"]) {
      const link = await place.ok(["invite"], anna);
      await place.ok(["join", link, "--name", name], { home: name.toLowerCase() });
    }
  });
  after(() => opened.disposeAsync());
  const anna = { home: "anna" };
  const bela = { home: "bela" };
  const cleo = { home: "cleo" };

  test("C35: only an administrator, about others who are here, and not without a word", async () => {
    assertRefused(await place.run(["people", "remove", "Cleo", "--yes"], bela), 1, /only an administrator/);
    assertRefused(await place.run(["people", "role", "Bela", "admin"], bela), 1, /only an administrator/);
    const own = (await place.ok(["devices", "--json"], cleo)).trim();
    const { id, here } = JSON.parse(own) as { id: string; here: boolean };
    assert.match(id, /^[0-9a-f]{12}$/, "base64url could begin with a hyphen");
    assert.equal(here, true);
    const end = ["devices", "end", "Cleo", id];
    assertRefused(await place.run([...end, "--yes"], bela), 1, /only an administrator/);
    assertRefused(await place.run(end, anna), 2, /devices end asks; without a terminal add --yes/);
    assertRefused(await place.run(["people", "remove", "Cleo"], anna), 2, /people remove asks/);
    assertRefused(await place.run(["people", "remove", "Anna", "--yes"], anna), 1, /snug leave/);
    assertRefused(await place.run(["people", "remove", "Dora", "--yes"], anna), 5, /nobody here/);
    assertRefused(await place.run(["people", "role", "Anna", "member"], anna), 1, /last administrator/);
    assertRefused(await place.run(["people", "role", "Bela", "king"], anna), 2, /admin, member/);
    assertRefused(await place.run(["devices", "end", "Cleo", "!", "--yes"], anna), 5, /no device of theirs/);
    // Names are found in any case, commands in one.
    assertRefused(await place.run(["devices", "end"], anna), 2, /missing required argument 'name'/);
    assertRefused(await place.run(["devices", "End"], anna), 5, /nobody here is called End/);
    assert.equal(await place.ok(["devices", "CLEO", "--json"], cleo), own);
    assert.match(await place.ok(["people"], anna), /^Cleo\toffline\tverified\t0$/m);
  });

  test("C35: roles, devices and accounts change, each told in one line or as JSON", async () => {
    assert.match(await place.ok(["people", "role", "Bela", "admin"], anna), /^Bela is an administrator now/);
    assert.equal(JSON.parse(await place.ok(["whoami", "--json"], bela)).role, "member");
    await place.ok(["people"], bela);
    assert.equal(JSON.parse(await place.ok(["whoami", "--json"], bela)).role, "admin");
    const [line] = (await place.ok(["devices", "Cleo"], bela)).split("\n");
    const [id = "", rights, added, ends] = line?.split("\t") ?? [];
    assert.deepEqual([rights, ends], ["full", "no end"]);
    assert.match(added ?? "", /^\d{4}-\d\d-\d\d$/);
    const ended = JSON.parse(
      await place.ok(["devices", "end", "Cleo", id.slice(0, 8), "--yes", "--json"], bela),
    ) as Record<string, unknown>;
    assert.deepEqual([ended.name, ended.id, ended.ended], ["Cleo", id, true]);
    assert.match(await place.ok(["devices", "Cleo"], anna), /\tended$/m);
    assertRefused(await place.run(["send", "Anna", "x"], cleo), 1, /does not let this device in any more/);
    await place.ok(["people", "remove", "Cleo", "--yes"], anna);
    assert.match(await place.ok(["people"], bela), /^Cleo\toffline\tremoved\t0$/m);
    assertRefused(await place.run(["send", "Cleo", "x"], bela), 5, /no longer on this server/);
    assertRefused(await place.run(["people", "remove", "Cleo", "--yes"], anna), 5, /any more/);
  });

  test("P40: the log key changes under a running server by one command; people and their links go on", async () => {
    const link = await place.ok(["invite"], anna);
    const { logKey } = JSON.parse(await place.ok(["rotate-log-key", "--data", place.path("data"), "--json"]));
    assert.match(logKey, /^[\w-]{43}$/);
    await place.ok(["join", link, "--name", "Dora"], { home: "dora" });
    await place.ok(["send", "Anna", "here I am"], { home: "dora" });
    assert.match(await place.ok(["read"], anna), /here I am/);
    assertRefused(
      await place.run(["rotate-log-key", "--data", place.path("nothing")]),
      1,
      /no Snug data folder/,
    );
  });
});
