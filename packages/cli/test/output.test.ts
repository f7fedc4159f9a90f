import assert from "node:assert/strict";
import { test } from "node:test";
import { operations } from "@snug/protocol";
import { announcement } from "../src/announcement.ts";
import { harmless, harmlessLine } from "../src/output.ts";
import { mpvArguments } from "../src/player.ts";
import { lengthWords } from "../src/words.ts";

test("no terminal obeys a text from outside", () => {
  assert.equal(harmless("\u001b]0;owned\u0007"), "␛]0;owned␇");
  assert.equal(harmless("\u009b31m\u007f"), "\ufffd31m\ufffd");
  assert.equal(harmless("name\u202egnp.exe\u2066"), "name\ufffdgnp.exe\ufffd");
  assert.equal(harmless("a\tb\nc\r\nd\re"), "a\tb\nc\nd\ne");
  assert.equal(harmlessLine(" two\r\nlines\u001b[2J "), "two lines␛[2J");
});

test("ordinary texts stay as they are, right-to-left ones too", () => {
  for (const text of ["Grüße 👩‍👩‍👧", "שלום", "\u200fمرحبا", "日本語"]) assert.equal(harmless(text), text);
});

test("a length in words", () => {
  assert.equal(lengthWords(24_000_000), "0:24");
  assert.equal(lengthWords(3_723_400_000), "1:02:03");
  assert.equal(lengthWords(0), "0:00");
});

const announced = {
  version: "1.2.3",
  data: "/srv/data",
  videos: "/srv/videos",
  url: "https://home.example:10000",
  localUrl: "http://localhost:10000",
  metricsUrl: null,
  fingerprint: "AB:CD",
  columns: 200,
} as const;

test("the server announces folders, addresses, fingerprint, and the setup link with its QR code", () => {
  const link = "http://localhost:10000/join#abc";
  const text = announcement({ ...announced, setupLink: link });
  for (const part of [
    "Snug 1.2.3",
    "/srv/data",
    "/srv/videos",
    announced.url,
    announced.localUrl,
    "AB:CD",
    link,
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.match(text, /once, within 30 minutes/);
  assert.match(text, /[▀▄█]{20}/);
});

test("a terminal too narrow for the QR code gets words, never a broken code", () => {
  const text = announcement({ ...announced, setupLink: "http://localhost:10000/join#abc", columns: 20 });
  assert.doesNotMatch(text, /[▀▄█]/);
  assert.match(text, /needs a terminal that is \d+ characters wide/);
});

test("with an administrator there is no setup link to announce", () => {
  const text = announcement({ ...announced, setupLink: null });
  assert.doesNotMatch(text, /set Snug up|[▀▄█]/);
});

test("mpv verifies TLS, trusts the server's own authority, and can't take a URL for an option", () => {
  const signal = new AbortController().signal;
  const given = {
    url: "https://localhost/m/x",
    name: "--script=evil",
    authority: "/h/a.pem",
    quiet: true,
    signal,
  };
  const list = mpvArguments(given);
  assert.ok(list.includes("--tls-verify=yes") && list.includes("--tls-ca-file=/h/a.pem"));
  assert.ok(list.includes("--force-media-title=--script=evil"));
  assert.deepEqual(list.slice(-2), ["--", given.url]);
});

test("P21: a server can send a player nowhere but to its own media", () => {
  const { response } = operations["grant-create"];
  const takes = (path: string): boolean => response.safeParse({ path, expires: 1 }).success;
  assert.ok(takes("/m/AAAA_-09/BBBB/CCCC/master.m3u8"));
  const elsewhere = ["file:///etc/passwd", "//evil.example/m/x.m3u8", "https://evil.example/m/x.m3u8"];
  for (const path of [...elsewhere, "/m/../x.m3u8", "/m/x.m3u8?y", "/m/x\u001b[2J.m3u8", "/x.m3u8"]) {
    assert.ok(!takes(path), path);
  }
});
