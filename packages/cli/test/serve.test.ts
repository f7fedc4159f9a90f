import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { spkiOf } from "../../../testing/served.ts";
import { assertRefused, createPlace, textUntil } from "./place.ts";

/** Ended within 2 s, or on a machine on which that is little, while it would start three times. */
function assertSoon(took: { readonly ms: number; readonly starts: number }): void {
  assert.ok(took.ms < 2000 || took.starts < 3, JSON.stringify(took));
}

suite("serve", { concurrency: 2 }, () => {
  test("--json: only JSON lines on stdout, the first says where, with a setup link; SIGTERM ends it in order", async () => {
    await using place = await createPlace();
    await using server = await place.serve();
    const { event, url, setupLink, fingerprint, port } = server.listening;
    assert.equal(event, "listening");
    assert.match(url, /^https:\/\//);
    assert.match(setupLink ?? "", new RegExp(`^http://localhost:${port}/join#[\\w-]+$`));
    assert.match(fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/i);
    assert.equal((await fetch(`http://localhost:${port}/`)).status < 500, true);
    const { code, took } = await server.stop("SIGTERM");
    assert.equal(code, 0);
    assertSoon(took);
    for (const line of server.lines) assert.equal(typeof JSON.parse(line), "object");
  });

  test("what server and client write is open to nobody else, down to each file", async () => {
    await using place = await createPlace();
    await using server = await place.serve(["--data", "data"]);
    await place.ok(["join", "-", "--name", "anna"], {
      home: "anna",
      input: server.listening.setupLink ?? "",
    });
    for (const folder of ["data", "anna"]) {
      const entries = await readdir(place.path(folder), { recursive: true });
      assert.ok(entries.length >= 2, folder);
      for (const entry of entries) {
        const { mode } = await stat(place.path(folder, entry));
        assert.equal(mode & 0o077, 0, `${folder}/${entry}: ${mode.toString(8)}`);
      }
    }
  });

  test("SIGINT ends it too, with a client connected; the next start says the same fingerprint", async () => {
    await using place = await createPlace();
    let fingerprint: string;
    {
      await using server = await place.serve();
      fingerprint = server.listening.fingerprint;
      await place.ok(["join", "-", "--name", "anna"], {
        home: "anna",
        input: server.listening.setupLink ?? "",
      });
      const tail = place.start(["tail"], { home: "anna" });
      await textUntil(tail.stderr, /waiting for letters/);
      const { code, took } = await server.stop("SIGINT");
      assert.equal(code, 0);
      assertSoon(took);
      tail.kill("SIGTERM");
      await once(tail, "close");
    }
    await using again = await place.serve();
    assert.equal(again.listening.fingerprint, fingerprint);
    assert.equal(again.listening.setupLink, null, "an administrator exists");
  });

  test("for a person: version, folders, addresses, fingerprint, setup link and QR code", async () => {
    await using place = await createPlace();
    const child = place.start(["serve"], {
      env: { SNUG_PORT: "0", SNUG_DATA: "room", SNUG_VIDEOS: "videos" },
    });
    const text = await textUntil(child.stdout, /Ctrl-C stops the server/);
    child.kill("SIGTERM");
    await once(child, "close");
    for (const part of [
      place.path("room"),
      place.path("videos"),
      "https://",
      "http://localhost:",
      "/join#",
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.match(text, /^Snug \d/);
    assert.match(text, /([▀▄█ ]{30,}\n){10}/);
  });

  test("O3, O10: SIGHUP takes the files that were renewed in place, and says so; the server goes on", async () => {
    await using place = await createPlace();
    const [old, renewed] = [place.path("old"), place.path("renewed")];
    for (const folder of [old, renewed]) {
      await using server = await place.serve(["--data", folder]);
      await server.stop("SIGTERM");
    }
    const [cert, key] = [join(old, "tls", "server.crt"), join(old, "tls", "server.key")];
    await using server = await place.serve(["--cert", cert, "--key", key, "--log", "info"]);
    const before = await spkiOf(server.listening.port);
    await writeFile(cert, "half");
    const kept = textUntil(server.child.stderr, /"event":"certificate-kept"/);
    server.child.kill("SIGHUP");
    await kept;
    assert.equal(await spkiOf(server.listening.port), before);
    for (const file of ["server.crt", "server.key"]) {
      await copyFile(join(renewed, "tls", file), join(old, "tls", file));
    }
    const taken = textUntil(server.child.stderr, /"event":"certificate"/);
    server.child.kill("SIGHUP");
    await taken;
    assert.notEqual(await spkiOf(server.listening.port), before);
    assert.equal((await server.stop("SIGTERM")).code, 0);
  });

  test("O20, O21: --metrics shows them where it says", async () => {
    await using place = await createPlace();
    await using server = await place.serve(["--metrics", "127.0.0.1:0"]);
    const { metricsUrl } = JSON.parse(server.lines[0] ?? "") as { metricsUrl: string };
    assert.match(metricsUrl, /^http:\/\/127\.0\.0\.1:[1-9]\d*\/metrics$/);
    assert.match(await (await fetch(metricsUrl)).text(), /^snug_accounts 0$/m);
  });

  test("O50, O51: the flags of ACME reach it; what it can't do is logged, and the server serves on", async () => {
    await using place = await createPlace();
    // Nobody listens on the discard port.
    const flags = [
      "--name",
      "home.example",
      "--acme-email",
      "a@home.example",
      "--acme-dns-hook",
      "/bin/false",
    ];
    const elsewhere = [...flags, "--acme-directory", "https://127.0.0.1:9/dir"];
    assertRefused(
      await place.run(["serve", "--port", "0", ...elsewhere, "--acme-ca", "missing.pem"]),
      1,
      /missing\.pem/,
    );
    const child = place.start(["serve", "--port", "0", ...elsewhere]);
    const said = textUntil(child.stdout, /Ctrl-C stops the server/);
    await textUntil(child.stderr, /"certificate-kept".*127\.0\.0\.1:9 gave no answer/);
    await said;
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "close"), [0, null]);
  });

  test("a busy port: one line, exit code 1", async () => {
    await using place = await createPlace();
    await using server = await place.serve();
    const ran = await place.run(["serve", "--port", String(server.listening.port), "--data", "other"]);
    assertRefused(ran, 1, new RegExp(`${server.listening.port}`));
  });

  test("a missing videos folder: one line, exit code 1, no data folder left behind", async () => {
    await using place = await createPlace();
    assertRefused(await place.run(["serve", "--port", "0", "--videos", "missing"]), 1, /missing/);
    assert.equal(existsSync(place.path("data")), false);
  });

  test("a data folder that can't be one: one line, exit code 1, as it was found", async () => {
    await using place = await createPlace();
    await writeFile(place.path("data"), "not a folder");
    assertRefused(await place.run(["serve", "--port", "0"]), 1, /data/);
    assert.deepEqual((await readdir(place.folder)).sort(), ["data", "videos"]);
  });

  test("a folder that is not Snug's is left alone", async () => {
    await using place = await createPlace();
    assertRefused(await place.run(["serve", "--port", "0", "--data", "videos/.."]), 1, /./);
    assert.deepEqual(await readdir(place.folder), ["videos"]);
  });

  test("a data folder of a newer Snug: one line, exit code 1, as it was found", async () => {
    await using place = await createPlace();
    await mkdir(place.path("data"));
    await writeFile(place.path("data", "version"), "999\n");
    assertRefused(await place.run(["serve", "--port", "0"]), 1, /newer Snug/);
    assert.deepEqual(await readdir(place.path("data")), ["version"]);
  });

  test("setup-link gives a new link and voids the former; none once there is an administrator", async () => {
    await using place = await createPlace();
    assertRefused(await place.run(["setup-link"]), 1, /./);
    await using server = await place.serve();
    const link = await place.ok(["setup-link"]);
    assert.notEqual(link, server.listening.setupLink);
    const former = server.listening.setupLink ?? "";
    assertRefused(await place.run(["join", former, "--name", "anna"], { home: "late" }), 1, /./);
    const code = await place.ok(["join", link, "--name", "anna"], { home: "anna" });
    assert.match(code, /^\S[\S ]{15,}$/);
    assertRefused(await place.run(["setup-link"]), 1, /administrator/);
  });

  test("a Node too old for the sources hands over to the pinned one, exit codes and SIGTERM too", async () => {
    await using place = await createPlace();
    const older = place.path("older.mjs");
    await writeFile(
      older,
      `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } });`,
    );
    const options = { node: [`--import=${older}`] };
    assertRefused(await place.run(["dance"], options), 2, /no command dance/);
    await using server = await place.serve([], options);
    const { code, took } = await server.stop("SIGTERM");
    assert.equal(code, 0);
    assertSoon(took);
    // The server's own process has ended, not only the one in front of it.
    await assert.rejects(fetch(server.listening.localUrl));
  });
});
