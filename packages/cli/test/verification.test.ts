import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import { suite, test } from "node:test";
import { decodeInviteLink, encodeInviteLink, Hash, ServerId } from "@snug/protocol";
import { changeKeys } from "../../../testing/rotation.ts";
import { joinByInvite } from "../../../testing/wire.ts";
import { assertRefused, createPlace } from "./place.ts";

const anna = { home: "anna" };

suite("exit code 6: verification failed", { concurrency: 2 }, () => {
  test("somebody's keys changed: nothing is sent before the number was compared", async () => {
    await using place = await createPlace();
    await using server = await place.serve();
    await place.ok(["join", "-", "--name", "anna"], { ...anna, input: server.listening.setupLink ?? "" });
    const { secret, inviter } = decodeInviteLink(await place.ok(["invite"], anna));
    const serverId = ServerId.parse(server.listening.serverId);
    const raw = { localUrl: server.listening.localUrl, serverId, setupLink: async () => null };
    const bela = await joinByInvite(raw, "bela", { secret, inviter });
    assert.match(await place.ok(["people"], anna), /^bela\toffline\tverified\t0$/m);
    const number = await place.ok(["verify", "bela"], anna);

    await changeKeys(serverId, bela);
    assertRefused(
      await place.run(["send", "bela", "secret"], anna),
      6,
      /keys of bela changed; nothing was sent/,
    );
    assert.match(await place.ok(["people"], anna), /^bela\toffline\tkey changed\t0$/m);
    const looked = await place.run(["verify", "bela"], anna);
    assert.equal(looked.code, 6);
    // I21: the same number would say that nothing has happened.
    assert.match(looked.stdout, /^(?:\d{5} ){11}\d{5}\n$/);
    assert.notEqual(looked.stdout, `${number}\n`);
    assert.match(looked.stderr, /keys of bela changed; compare/);

    await place.ok(["verify", "bela", "--yes"], anna);
    assert.match(await place.ok(["people"], anna), /^bela\toffline\tverified\t0$/m);
    await place.ok(["send", "bela", "secret"], anna);
  });

  test("a server with another TLS authority than the link names", async () => {
    await using place = await createPlace();
    await using server = await place.serve();
    await place.ok(["join", "-", "--name", "anna"], { ...anna, input: server.listening.setupLink ?? "" });
    const invite = decodeInviteLink(await place.ok(["invite"], anna));
    const forged = { ...invite, authority: Hash.parse(`${"A".repeat(42)}E`) };
    const ran = await place.run(["join", encodeInviteLink(forged), "--name", "bela"], { home: "bela" });
    assertRefused(ran, 6, /another certificate than was named/);
    await place.ok(["join", encodeInviteLink(invite), "--name", "bela"], { home: "bela" });
  });

  test("C46: a server with another name, and so another authority, is reached by its fingerprint, and kept", async () => {
    await using place = await createPlace();
    const bela = { home: "bela" };
    let port: number;
    {
      await using server = await place.serve();
      port = server.listening.port;
      await place.ok(["join", "-", "--name", "anna"], { ...anna, input: server.listening.setupLink ?? "" });
      await place.ok(["join", "-", "--name", "bela"], { ...bela, input: await place.ok(["invite"], anna) });
      await server.stop("SIGTERM");
    }
    await using server = await place.serve(["--port", String(port), "--name", "home.example"]);
    const { fingerprint } = server.listening;
    const at = ["--server", `localhost:${port}`];
    const words = /not from the authority by which this server is known here; .* --server$/m;
    assertRefused(await place.run(["people"], bela), 4, words);
    assertRefused(await place.run([...at, "people"], bela), 4, words);
    const other = fingerprint.replace(/^../, (byte) => (byte === "00" ? "01" : "00"));
    const wrong = await place.run([...at, "--authority", other, "people"], bela);
    assertRefused(wrong, 6, /another certificate than was named/);
    const reached = await place.run([...at, "--authority", fingerprint, "people"], bela);
    assert.equal(reached.code, 0, reached.stderr);
    assert.match(reached.stdout, /^anna\toffline\tverified\t0$/m);
    await place.ok(["send", "anna", "here again"], bela);

    // Another server, with its own fingerprint: not kept.
    await using stranger = await place.serve(["--data", "another"]);
    const there = ["--server", `localhost:${stranger.listening.port}`];
    const strange = await place.run(
      [...there, "--authority", stranger.listening.fingerprint, "people"],
      bela,
    );
    assertRefused(strange, 6, /another server answers at https:/);
    await place.ok(["send", "anna", "still here"], bela);
    assert.match(await place.ok(["read"], anna), /here again\n.*still here$/);
    assertRefused(await place.run([...at, "people"], { home: "new" }), 3, /no account yet/);
  });

  test("a server that was set back to an older state", async () => {
    await using place = await createPlace();
    let port: number;
    {
      await using server = await place.serve();
      port = server.listening.port;
      await place.ok(["join", "-", "--name", "anna"], { ...anna, input: server.listening.setupLink ?? "" });
      const link = await place.ok(["invite"], anna);
      await place.ok(["join", link, "--name", "bela"], { home: "bela" });
      await server.stop("SIGTERM");
    }
    await cp(place.path("data"), place.path("older"), { recursive: true });
    {
      await using server = await place.serve(["--port", String(port)]);
      await place.ok(["send", "bela", "to be forgotten"], anna);
      assert.match(await place.ok(["read"], { home: "bela" }), /to be forgotten$/);
      await server.stop("SIGTERM");
    }
    await rm(place.path("data"), { recursive: true });
    await cp(place.path("older"), place.path("data"), { recursive: true });
    await using server = await place.serve(["--port", String(port)]);
    assert.equal(server.listening.setupLink, null);
    assertRefused(await place.run(["read"], { home: "bela" }), 6, /lost letters|older/);
  });
});
