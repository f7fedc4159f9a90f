import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { assertRefused, createPlace, type Place, sampleVideos, type TestServer } from "./place.ts";

suite("videos by command line", () => {
  let place: Place;
  let server: TestServer;
  const anna = { home: "anna" };
  before(async () => {
    place = await createPlace();
    for (const height of [240, 720]) {
      const name = `Test card_${height}p.mp4`;
      await copyFile(join(sampleVideos, name), place.path("videos", name));
    }
    await writeFile(place.path("videos", "broken.mp4"), "not a film");
    server = await place.serve();
    await place.ok(["join", "-", "--name", "anna"], { ...anna, input: server.listening.setupLink ?? "" });
    for (let ready = false; !ready; ) ready = /^Test card\t0:24\t/m.test(await place.ok(["videos"], anna));
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  test("videos: a line each, with length and state, the reason where a title can't play", async () => {
    const lines = (await place.ok(["videos"], anna)).split("\n");
    assert.ok(lines.includes("Test card\t0:24\tplayable"), lines.join("\n"));
    assert.ok(
      lines.some((line) => /^broken\t-\tunplayable: ./.test(line)),
      lines.join("\n"),
    );
    const titles = (await place.ok(["videos", "--json"], anna)).split("\n").map((line) => JSON.parse(line));
    const card = titles.find(({ name }) => name === "Test card");
    assert.equal(Math.round(card.seconds), 24);
    assert.ok(card.renditions.length >= 2);
  });

  test("exit code 5 for an unknown title, 1 with the reason for one that can't play", async () => {
    assertRefused(await place.run(["play", "No such film"], anna), 5, /no video is called No such film/);
    assertRefused(await place.run(["play", "broken"], anna), 1, /can't be played: ./);
  });

  test("play --print-url: a URL that a foreign player opens, trusting nothing but the server's authority", async () => {
    const opened = JSON.parse(await place.ok(["play", "test card", "--print-url", "--json"], anna));
    assert.match(opened.url, /^https?:\/\/\S+\/m\/[\w-]{22}\/\S+\.m3u8$/);
    assert.match(await place.ok(["play", "Test card", "--print-url"], anna), /^https?:\/\/\S+\.m3u8$/);
  });

  test("play plays with mpv through the pinned authority", async () => {
    const config = place.path("mpv");
    await mkdir(config);
    const log = place.path("mpv.log");
    await writeFile(join(config, "mpv.conf"), `vo=null\nao=null\nend=1\nlog-file=${log}\n`);
    const child = place.start(["play", "Test card"], { ...anna, env: { MPV_HOME: config } });
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    assert.equal((await once(child, "close"))[0], 0);
  });

  test("play without mpv says so", async () => {
    const ran = await place.run(["play", "Test card"], { ...anna, env: { PATH: place.folder } });
    assertRefused(ran, 1, /mpv is not installed; --print-url/);
  });
});
