import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import type { Client } from "@snug/client";
import { openNodeClient } from "@snug/client/node";
import { admitOf } from "@snug/crypto/identity";
import { decodeInviteLink, LibraryView, ServerId, toBase64url } from "@snug/protocol";
import { WebSocket } from "ws";
import { eventually, launchBrowser } from "./browser.ts";
import { released } from "./processes.ts";
import { ServedServer, spkiOf } from "./served.ts";
import { inviteRaw, joinByInvite, joinRaw, letterTo } from "./wire.ts";

const said = "the spare key lies under the blue pot";
const name = "Marigold";

/** Every spelling of a text that a careless layer might leave behind; base64 at each of its three alignments. */
function spellings(text: string): { readonly how: string; readonly bytes: Buffer }[] {
  const utf8 = Buffer.from(text);
  const utf16 = Buffer.from(text, "utf16le");
  const found = [
    { how: "UTF-8", bytes: utf8 },
    { how: "UTF-16LE", bytes: utf16 },
    { how: "UTF-16BE", bytes: Buffer.from(utf16).swap16() },
    { how: "hex", bytes: Buffer.from(utf8.toString("hex")) },
    { how: "HEX", bytes: Buffer.from(utf8.toString("hex").toUpperCase()) },
  ];
  for (const shift of [0, 1, 2]) {
    for (const how of ["base64", "base64url"] as const) {
      // Only the letters that depend on nothing but the text.
      const whole = Buffer.concat([Buffer.alloc(shift), utf8])
        .toString(how)
        .replaceAll("=", "");
      const from = shift === 0 ? 0 : shift + 1;
      found.push({ how: `${how}+${shift}`, bytes: Buffer.from(whole.slice(from, whole.length - 2)) });
    }
  }
  return found;
}

function spellingsIn(haystack: Buffer, text: string): string[] {
  return spellings(text)
    .filter(({ bytes }) => haystack.includes(bytes))
    .map(({ how }) => how);
}

function fromBase64urlBuffer(text: string): Buffer {
  return Buffer.from(text, "base64url");
}

async function everyByteUnder(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file))));
}

/** Notes everything this process's sockets carry inside TLS, and WebSocket frames before they are masked. */
function tapSockets(): Disposable & { readonly pieces: Buffer[] } {
  const pieces: Buffer[] = [];
  const note = (piece: unknown) => {
    if (typeof piece === "string") pieces.push(Buffer.from(piece));
    else if (piece instanceof Uint8Array) pieces.push(Buffer.from(piece));
  };
  const { push, write } = TLSSocket.prototype;
  const { send } = WebSocket.prototype;
  Object.assign(TLSSocket.prototype, {
    push(this: TLSSocket, piece: unknown, ...rest: unknown[]) {
      note(piece);
      return Reflect.apply(push, this, [piece, ...rest]);
    },
    write(this: TLSSocket, piece: unknown, ...rest: unknown[]) {
      note(piece);
      return Reflect.apply(write, this, [piece, ...rest]);
    },
  });
  Object.assign(WebSocket.prototype, {
    send(this: WebSocket, piece: unknown, ...rest: unknown[]) {
      note(piece);
      return Reflect.apply(send, this, [piece, ...rest]);
    },
  });
  return {
    pieces,
    [Symbol.dispose]: () => {
      Object.assign(TLSSocket.prototype, { push, write });
      Object.assign(WebSocket.prototype, { send });
    },
  };
}

async function joined(client: Client, link: string, as: string): Promise<void> {
  await client.join({ link, name: as });
  await eventually(
    `${as} is online`,
    () => client.state.phase === "joined" && client.state.connection.is === "online",
  );
}

describe("secrecy", () => {
  it("the search finds a text in every spelling, wherever it begins", () => {
    for (const { how, bytes } of spellings(said)) {
      assert.ok(
        spellingsIn(Buffer.concat([Buffer.from("xyz"), bytes, Buffer.from("!")]), said).includes(how),
        how,
      );
    }
    for (const shift of [0, 1, 2]) {
      const hidden = Buffer.from(Buffer.from(`${"-".repeat(shift)}${said}-`).toString("base64"));
      assert.notDeepEqual(spellingsIn(hidden, said), []);
    }
    assert.deepEqual(spellingsIn(Buffer.from("nothing of the kind"), said), []);
  });

  it("T6: a letter's words are in no file, log, frame or body of the server; a name, which is public, is found by the same search", async () => {
    const homes = await mkdtemp(join(tmpdir(), "snug-homes-"));
    using tap = tapSockets();
    await using server = await ServedServer.start();
    const alice = await openNodeClient({ home: join(homes, "alice") });
    const bob = await openNodeClient({ home: join(homes, "bob") });
    try {
      await joined(alice, server.listening.setupLink ?? "", name);
      await joined(bob, await alice.invite({ uses: 1 }), "Bob");
      const arrived = new Promise((resolve) => bob.onLetter(resolve));
      const me = bob.state.phase === "joined" ? bob.state.me.account : undefined;
      assert.ok(me);
      await eventually(
        "Alice sees Bob",
        () => alice.state.phase === "joined" && alice.state.people.some((person) => person.account === me),
      );
      await alice.settled(await alice.send(me, said));
      await arrived;
      await Promise.all([alice.close(), bob.close()]);
      await server.stop();

      const disk = await everyByteUnder(server.folder);
      const wire = Buffer.concat(tap.pieces);
      const log = Buffer.from(server.log);
      assert.ok(spellingsIn(disk, name).includes("UTF-8"), "control: the database was searched");
      assert.ok(spellingsIn(wire, name).includes("UTF-8"), "control: the frames were searched");
      assert.ok(spellingsIn(log, "/api/join").includes("UTF-8"), "control: the log was searched");
      assert.deepEqual(spellingsIn(disk, said), []);
      assert.deepEqual(spellingsIn(wire, said), []);
      assert.deepEqual(spellingsIn(log, said), []);
    } finally {
      await Promise.allSettled([alice.close(), bob.close()]);
      await rm(homes, { recursive: true, force: true });
    }
  });

  it("P35: no secret of a session is in the server's log, arguments or files, in any spelling; what may be there is found", async () => {
    await using server = await ServedServer.start();
    const { localUrl, serverId, setupLink } = server.listening;
    const room = { localUrl, serverId: ServerId.parse(serverId), setupLink: async () => setupLink };
    const alice = await joinRaw(room, name);
    await using wire = await alice.connect();
    const invite = await inviteRaw(wire, alice.account);
    const bob = await joinByInvite(room, "Bob", invite);
    const { token } = await wire.request("token-create", {});
    const authorization = `Bearer ${token}`;
    const made = await fetch(`${localUrl}/api/session`, { method: "POST", headers: { authorization } });
    const cookie = /=([\w-]{43});/.exec(made.headers.get("set-cookie") ?? "")?.[1] ?? "";
    const view = await eventually("a title to play", async () => {
      const answer = await fetch(`${localUrl}/api/library`, { headers: { authorization } });
      const { titles } = LibraryView.parse(await answer.json());
      return titles.find(({ state }) => state === "playable");
    });
    const { path } = await wire.request("grant-create", { title: view.id });
    assert.equal((await fetch(`${localUrl}${path}`)).status, 200);
    await wire.request("submit", letterTo(bob.inbox, 1));
    const argv = await readFile(`/proc/${server.pid}/cmdline`);
    await server.stop();

    const setup = decodeInviteLink(setupLink ?? "").secret;
    const bytes = (secret: Uint8Array) => [
      Buffer.from(secret),
      toBase64url(secret),
      Buffer.from(secret).toString("hex"),
    ];
    const secrets: Record<string, readonly (string | Buffer)[]> = {
      "the setup link's secret": bytes(setup),
      "what it admits by": bytes(await admitOf(setup)),
      "the invite's secret": bytes(invite.secret),
      "what that admits by": bytes(await admitOf(invite.secret)),
      "the recovery code": [alice.created.recoveryCode, alice.created.recoveryCode.replaceAll("-", "")],
      "the token": [token, fromBase64urlBuffer(token)],
      "the session": [cookie, fromBase64urlBuffer(cookie)],
      "the grant": [String(path.split("/")[2]), fromBase64urlBuffer(String(path.split("/")[2]))],
    };
    const places = { log: Buffer.from(server.log), argv, files: await everyByteUnder(server.folder) };
    assert.ok(places.log.includes("/m/") && places.argv.includes("serve"), "control: both were read");
    assert.ok(places.files.includes(alice.account), "control: the database was read");
    const digest = createHash("sha256").update(token).digest("base64url");
    assert.ok(places.files.includes(digest), "control: a token is kept as its hash, which the search finds");
    for (const [what, forms] of Object.entries(secrets)) {
      for (const form of forms) {
        assert.ok(form.length >= 16, what);
        for (const [where, haystack] of Object.entries(places)) {
          const found =
            typeof form === "string" ? spellingsIn(haystack, form) : haystack.includes(form) ? ["bytes"] : [];
          assert.deepEqual(found, [], `${what} in ${where}`);
        }
      }
    }
  });

  it("VL9: nothing of a film that was watched is on the client's disk; what may be cached is found by the same search", async () => {
    const profile = await mkdtemp(join(tmpdir(), "snug-profile-"));
    const assets = fileURLToPath(new URL("../packages/web/dist/assets/", import.meta.url));
    const font =
      (await readdir(assets)).find((file) => /^inter-latin-wght-normal-.*\.woff2$/.test(file)) ?? "";
    const kept = (await readFile(join(assets, font))).subarray(5000, 5064);
    await using server = await ServedServer.start();
    const browser = await launchBrowser({ spki: await spkiOf(server.port), profile });
    try {
      const page = await browser.newPage();
      await page.goto(server.listening.setupLink ?? "");
      await page.getByTestId("join-name").fill("Watcher");
      await page.getByTestId("join-button").click();
      await page.getByTestId("recovery-done").click();
      await page.getByTestId("nav-watch").click();
      // Not a link before the server has read it.
      await page.locator('[data-testid="title-Test card"][data-state=playable]').click();
      const video = page.getByTestId("video");
      await eventually("six seconds were watched", () =>
        video.evaluate((element: HTMLVideoElement) => element.currentTime > 6),
      );
      // Chromium writes its cache a while after it used it; the search is worth nothing before.
      await eventually("the cache is written", async () => (await everyByteUnder(profile)).includes(kept));
    } finally {
      await browser.close();
    }
    // What Chromium has begun to write it may end after its end.
    await released(profile);
    const disk = await everyByteUnder(profile);
    assert.ok(disk.includes(kept), "control: the app's font, which may be kept, is in the cache");
    for (const height of [240, 720, 1440]) {
      const film = await readFile(join(server.videos, `Test card_${height}p.mp4`));
      for (let at = 4096; at + 32 < film.length; at += 997) {
        const piece = film.subarray(at, at + 32);
        if (new Set(piece).size > 16) assert.ok(!disk.includes(piece), `${height}p, byte ${at}`);
      }
    }
    await rm(profile, { recursive: true, force: true });
  });
});
