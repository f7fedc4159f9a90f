import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ClientState } from "@snug/client";
import { bootServer } from "../../../testing/server.ts";
import { Person } from "./people.ts";

const sample = join(import.meta.dirname, "../../../videos");

async function cinema(): Promise<{ alice: Person; videos: string } & AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "snug-videos-"));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const videos = join(folder, "videos");
  await mkdir(videos);
  await cp(join(sample, "Test card_240p.mp4"), join(videos, "Test card_240p.mp4"));
  const server = started.use(await bootServer({ videos }));
  const alice = started.use(await Person.join((await server.setupLink()) ?? "", "Alice"));
  await alice.until("a title to play", (state) => titlesOf(state)[0]?.state === "playable");
  const all = started.move();
  return { alice, videos, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function titlesOf(state: ClientState) {
  return state.phase === "joined" ? (state.library?.titles ?? []) : [];
}

test("C23: the library is read at sign-in and again at each change", async () => {
  await using room = await cinema();
  const { alice, videos } = room;
  const [title] = titlesOf(alice.client.state);
  assert.ok(title);
  assert.equal(title.name, "Test card");
  const detail = await alice.client.title(title.id);
  assert.equal(detail.base, `/m/me/${title.id}/${title.version}/`);
  assert.match(detail.master, /^#EXTM3U/);
  await cp(join(sample, "Test card_720p.mp4"), join(videos, "Another.mp4"));
  await alice.until("the other title", (state) => titlesOf(state).some(({ name }) => name === "Another"));
  await assert.rejects(alice.client.title("AAAAAAAAAAAAAAAAAAAAAA" as typeof title.id), {
    code: "not-found",
  });
});

test("C23: a playback URL opens in any player, by the pinned authority", async () => {
  await using room = await cinema();
  const { alice } = room;
  const [title] = titlesOf(alice.client.state);
  assert.ok(title);
  const url = new URL(await alice.client.playbackUrl(title.id));
  assert.equal(url.origin, alice.state.server.origin);
  assert.match(url.pathname, /^\/m\/[A-Za-z0-9_-]{22}\/.*\/master\.m3u8$/);
  const { origin, authority } = alice.state.server;
  const { status } = await alice.platform.fetch({ origin, authority }, { method: "GET", path: url.pathname });
  assert.equal(status, 200);
});

test("C23: a token that the server does not know any more is renewed once, and the call repeated", async () => {
  await using room = await cinema();
  const { alice } = room;
  const [title] = titlesOf(alice.client.state);
  assert.ok(title);
  const { fetch } = alice.platform;
  const tokens: (string | undefined)[] = [];
  alice.platform.fetch = async (address, request) => {
    // The list may be read anew meanwhile.
    if (!request.path.startsWith("/api/titles/")) return fetch(address, request);
    tokens.push(request.token);
    return fetch(address, tokens.length === 1 ? { ...request, token: "A".repeat(43) } : request);
  };
  assert.equal((await alice.client.title(title.id)).title.name, "Test card");
  assert.equal(tokens.length, 2);
  assert.notEqual(tokens[0], tokens[1]);
});

test("C23, C31: where media need a cookie it is asked for once, and again before it ends, or when the clock was put back", async () => {
  await using room = await cinema();
  const { alice } = room;
  const sessions = () => alice.platform.asked.filter(({ path }) => path === "/api/session").length;
  await alice.client.openMedia();
  assert.equal(sessions(), 0);
  alice.platform.needsCookie = true;
  await alice.client.openMedia();
  await alice.client.openMedia();
  assert.equal(sessions(), 1);
  alice.platform.setClock(11 * 3_600_000);
  await alice.client.openMedia();
  assert.equal(sessions(), 1);
  alice.platform.setClock(-20 * 3_600_000);
  await alice.client.openMedia();
  assert.equal(sessions(), 2);
});
