import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { LibraryView, limits, randomId, TitleDetail, TitleId } from "@snug/protocol";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { joinRaw, type Wire } from "../../../testing/wire.ts";
import { refused } from "./refused.ts";

const videos = fileURLToPath(new URL("../../../videos", import.meta.url));

async function library(server: BootedServer, token: string): Promise<LibraryView> {
  const answer = await fetch(`${server.localUrl}/api/library`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.headers.get("cache-control"), "no-store");
  return LibraryView.parse(await answer.json());
}

/** The sample title, once it is ready. */
async function sample(server: BootedServer, wire: Wire): Promise<TitleId> {
  const { token } = await wire.request("token-create", {});
  for (;;) {
    const { titles } = await library(server, token);
    const playable = titles.find(({ state }) => state === "playable");
    if (playable && titles.every(({ state }) => state !== "preparing")) return playable.id;
    await wire.next("library");
  }
}

test("P21: a grant opens its one title by path alone, and is dead at once when its device signs out", async () => {
  await using server = await bootServer({ videos });
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const title = await sample(server, wire);
  const before = Date.now();
  const { path, expires } = await wire.request("grant-create", { title });
  assert.match(path, /^\/m\/[A-Za-z0-9_-]{22}\//);
  assert.ok(expires >= before + limits.grantOpen && expires <= Date.now() + limits.grantOpen);
  const status = async (of: string): Promise<number> => (await fetch(`${server.localUrl}${of}`)).status;
  assert.equal(await status(path), 200);
  assert.equal(await status(path.replace("master.m3u8", "v0/0.m4s")), 200);
  assert.equal(await status(path.replace(title, randomId(TitleId))), 404);
  assert.equal(await status(path.replace(/^\/m\/[^/]+/, "/m/me")), 404);
  assert.equal(await status(path.replace(/^\/m\/[^/]+/, `/m/${randomId(TitleId)}`)), 404);
  await wire.request("sign-out", {});
  assert.equal(await status(path), 404);
});

test("P21: a grant is opened within ten minutes or never; opened, it lives for the title's length and six hours", async ({
  mock,
}) => {
  await using server = await bootServer({ videos });
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const title = await sample(server, wire);
  // Opened at that very moment, however long opening takes.
  const start = Date.now();
  mock.method(Date, "now", () => start);
  const { path: used } = await wire.request("grant-create", { title });
  const { path: unused } = await wire.request("grant-create", { title });
  const status = async (of: string): Promise<number> => (await fetch(`${server.localUrl}${of}`)).status;
  assert.equal(await status(used), 200);
  const at = async (ms: number, of: string): Promise<number> => {
    mock.method(Date, "now", () => start + ms);
    return status(of);
  };
  assert.equal(await at(limits.grantOpen + 1000, used), 200);
  assert.equal(await at(limits.grantOpen + 1000, unused), 404);
  assert.equal(await at(limits.grantExtra + 20_000, used), 200);
  assert.equal(await at(limits.grantExtra + 30_000, used), 404);
});

test("P18: a title's answer holds all that a player needs; an unknown one is not found", async () => {
  await using server = await bootServer({ videos });
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const title = await sample(server, wire);
  const { token } = await wire.request("token-create", {});
  const read = (id: string): Promise<Response> =>
    fetch(`${server.localUrl}/api/titles/${id}`, { headers: { authorization: `Bearer ${token}` } });
  const detail = TitleDetail.parse(await (await read(title)).json());
  assert.equal(detail.title.id, title);
  const media = await fetch(`${server.localUrl}${detail.base}master.m3u8`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(await media.text(), detail.master);
  assert.equal((await read(randomId(TitleId))).status, 404);
  assert.equal((await read("no")).status, 404);
  await refused({ code: "not-found" }, wire.request("grant-create", { title: randomId(TitleId) }));
});
