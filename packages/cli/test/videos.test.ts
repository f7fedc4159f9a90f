import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { mpvArguments } from "../src/player.ts";
import { assertRefused, createPlace, type Place, sampleVideos, type TestServer } from "./place.ts";

suite("videos by command line", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: TestServer;
  const anna = { home: "anna" };
  const bela = { home: "bela" };
  before(async () => {
    place = opened.use(await createPlace());
    for (const height of [240, 720]) {
      const name = `Test card_${height}p.mp4`;
      await copyFile(join(sampleVideos, name), place.path("videos", name));
    }
    await writeFile(place.path("videos", "broken.mp4"), "not a film");
    server = opened.use(await place.serve());
    await place.ok(["join", "-", "--name", "anna"], { ...anna, input: server.listening.setupLink ?? "" });
    const link = await place.ok(["invite"], anna);
    await place.ok(["join", link, "--name", "bela"], bela);
    for (let reads = true; reads; ) reads = /\tpreparing/.test(await place.ok(["videos"], anna));
  });
  after(() => opened.disposeAsync());

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

  test("VL3: play waits for a title that is still being prepared", async () => {
    await copyFile(join(sampleVideos, "Test card_240p.mp4"), place.path("videos", "Just come.mp4"));
    while (!(await place.ok(["videos"], anna)).includes("Just come"));
    assert.match(await place.ok(["play", "just come", "--print-url"], anna), /^https?:\/\/\S+\.m3u8$/);
  });

  test("play --print-url: a URL for this title, and where its TLS authority lies", async () => {
    const opened = JSON.parse(await place.ok(["play", "test card", "--print-url", "--json"], bela));
    assert.match(opened.url, /^https:\/\/\S+\/m\/[\w-]{22,}\/\S+\.m3u8$/);
    assert.match(await readFile(opened.authority, "utf8"), /^-----BEGIN CERTIFICATE-----/);
    const ran = await place.run(["play", "Test card", "--print-url"], bela);
    assert.match(ran.stdout, /^https:\/\/\S+\.m3u8\n$/);
    assert.ok(ran.stderr.includes(opened.authority));
  });

  test("play plays with mpv, which verifies TLS by the pinned authority and by nothing else", async () => {
    const env = { MPV_HOME: place.path("config") };
    await mkdir(env.MPV_HOME);
    await writeFile(join(env.MPV_HOME, "mpv.conf"), "vo=null\nao=null\nend=1\n");
    const played = await place.run(["play", "Test card"], { ...bela, env });
    assert.equal(played.code, 0, played.stderr);
    assert.match(played.stdout, /AV?: 00:00:0[01]|h264/);

    const opened = JSON.parse(await place.ok(["play", "Test card", "--print-url", "--json"], bela));
    await using stranger = await place.serve(["--data", "another"]);
    const other = await fetch(`${stranger.listening.localUrl}/authority.crt`);
    const der = Buffer.from(await other.arrayBuffer());
    await writeFile(place.path("other.pem"), new X509Certificate(der).toString());
    const signal = new AbortController().signal;
    const given = { ...opened, authority: place.path("other.pem"), quiet: false, signal };
    const refused = spawn("mpv", mpvArguments(given), {
      env: { PATH: process.env.PATH, ...env },
      stdio: "pipe",
    });
    refused.stdout.resume();
    refused.stderr.resume();
    const [code] = await once(refused, "close");
    assert.notEqual(code, 0);
  });

  test("T67: mpv is led nowhere by a list of addresses in the place of a film", async () => {
    const asked: (string | undefined)[] = [];
    let lists: readonly string[] = [];
    const server = createServer(({ url }, answer) => {
      asked.push(url);
      answer.end(lists[Number(url?.slice(1, 2))] ?? "");
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    const elsewhere = `http://127.0.0.1:${port}/elsewhere`;
    lists = [`#EXTM3U\n${elsewhere}\n`, `[playlist]\nFile1=${elsewhere}\n`, `# mpv EDL v0\n${elsewhere}\n`];
    for (const at of lists.keys()) {
      const url = `http://127.0.0.1:${port}/${at}/master.m3u8`;
      const signal = new AbortController().signal;
      const given = mpvArguments({ url, name: "x", authority: null, quiet: true, signal });
      const env = { PATH: process.env.PATH, MPV_HOME: place.path("none") };
      const child = spawn("mpv", ["--vo=null", "--ao=null", ...given], { env, stdio: "ignore" });
      assert.notEqual((await once(child, "close"))[0], 0);
    }
    server.closeAllConnections();
    server.close();
    assert.deepEqual([...new Set(asked)], ["/0/master.m3u8", "/1/master.m3u8", "/2/master.m3u8"]);
  });

  test("play without mpv says so", async () => {
    await mkdir(place.path("empty"));
    const ran = await place.run(["play", "Test card"], { ...anna, env: { PATH: place.path("empty") } });
    assertRefused(ran, 1, /mpv is not installed; --print-url/);
  });
});
