import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, suite, test } from "node:test";
import { assertRefused, createPlace, type Place, type TestServer, textUntil } from "./place.ts";

suite("accounts and letters by command line", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: TestServer;
  before(async () => {
    place = opened.use(await createPlace());
    server = await place.serve();
    // Restarted on the way: what is ended is the one that runs then.
    opened.defer(() => server[Symbol.asyncDispose]());
    await place.ok(["join", "-", "--name", "Anna"], {
      home: "anna",
      input: `${server.listening.setupLink}\n`,
    });
  });
  after(() => opened.disposeAsync());
  const anna = { home: "anna" };
  const bela = { home: "bela" };

  test("join by invite: the recovery code alone on stdout, the words on stderr", async () => {
    const link = await place.ok(["invite"], anna);
    assert.match(link, /^https:\/\/\S+\/join#[\w-]+$/);
    const ran = await place.run(["join", link, "--name", "Bela", "--json"], bela);
    assert.equal(ran.code, 0, ran.stderr);
    const joined = JSON.parse(ran.stdout);
    assert.equal(joined.name, "Bela");
    assert.match(joined.recoveryCode, /^\S[\S ]{15,}$/);
    assert.match(ran.stderr, /recovery code/);
    assert.ok(!ran.stderr.includes(joined.recoveryCode));
  });

  test("a home joins once", async () => {
    const link = await place.ok(["invite"], anna);
    assertRefused(await place.run(["join", link, "--name", "Bela2"], bela), 1, /already belongs to Bela/);
  });

  test("a used link, a broken link and a taken name are refused in words", async () => {
    const link = await place.ok(["invite"], anna);
    assertRefused(await place.run(["join", link, "--name", "BELA"], { home: "new" }), 1, /BELA|name/i);
    await place.ok(["join", link, "--name", "Cleo"], { home: "cleo" });
    assertRefused(await place.run(["join", link, "--name", "Dora"], { home: "new" }), 1, /./);
    const broken = `${link.slice(0, -1)}~`;
    assertRefused(
      await place.run(["join", broken, "--name", "Dora"], { home: "new" }),
      1,
      /not a whole Snug link/,
    );
  });

  test("whoami needs no server and says who and where", async () => {
    const me = JSON.parse(await place.ok(["whoami", "--json"], bela));
    assert.equal(me.name, "Bela");
    assert.equal(me.role, "member");
    assert.match(
      await place.ok(["whoami"], anna),
      /^name\tAnna\nrole\tadmin\nserver\thttps?:\/\/\S+\naccount\t\S{43}$/,
    );
  });

  test("people: a line each; whoever joined by a one-use invite is verified on both sides", async () => {
    const lines = (await place.ok(["people"], bela)).split("\n");
    assert.ok(lines.includes("Anna\toffline\tverified\t0"), lines.join("\n"));
    assert.ok(lines.includes("Bela\tonline\tyou\t0"), lines.join("\n"));
    const seen = (await place.ok(["people", "--json"], anna)).split("\n").map((line) => JSON.parse(line));
    assert.equal(seen.find(({ name }) => name === "Bela").trust.how, "verified");
  });

  test("send waits until the server has the letter; read prints it once; the other home answers", async () => {
    const id = await place.ok(["send", "bela", "Hallo Bela"], anna);
    assert.match(id, /^[\w-]{22}$/);
    const read = await place.ok(["read"], bela);
    assert.match(read, /^\d{4}-\d\d-\d\dT[\d:.]+Z\tAnna\tHallo Bela$/);
    assert.equal(await place.ok(["read"], bela), "");
    await place.ok(["send", "ANNA", "Hallo Anna"], bela);
    const [letter] = (await place.ok(["read", "Bela", "--json"], anna))
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(letter.text, "Hallo Anna");
    assert.equal(letter.from, "Bela");
    assert.equal(letter.gapBefore, false);
  });

  test("send - takes the text from stdin, lines and all, without its last line break", async () => {
    await place.ok(["send", "Anna", "-"], { ...bela, input: "one\r\n\ttwo — drei\n" });
    const [letter] = (await place.ok(["read", "--json"], anna)).split("\n").map((line) => JSON.parse(line));
    assert.equal(letter.text, "one\n\ttwo — drei");
    await place.ok(["send", "Anna", "line one\nline two"], bela);
    assert.match(await place.ok(["read"], anna), /Z\tBela\tline one\n\t\tline two$/);
  });

  test("a letter can't pass for two, whatever line breaks it holds", async () => {
    const forged = "2026-01-01T00:00:00.000Z\tCleo\tpay him";
    for (const lineBreak of ["\u2028", "\u2029", "\n"]) {
      await place.ok(["send", "Anna", `hi${lineBreak}${forged}`], bela);
      assert.match(await place.ok(["read"], anna), /^\S+Z\tBela\thi\n\t\t2026-\S+\tCleo\tpay him$/);
    }
  });

  test("letters of one person are read without touching another's", async () => {
    await place.ok(["send", "Anna", "from bela"], bela);
    await place.ok(["send", "Anna", "from cleo"], { home: "cleo" });
    assert.match(await place.ok(["read", "Cleo"], anna), /\tCleo\tfrom cleo$/);
    assert.match(await place.ok(["read"], anna), /^[^\n]*\tBela\tfrom bela$/);
  });

  test("a text that no letter can be is refused in words, and nothing is sent", async () => {
    for (const [input, words] of [
      ["", /empty/],
      ["a\u001b[2J", /control characters/],
      ["x".repeat(65_537), /65537/],
      [new Uint8Array([0xff, 0xfe]), /not UTF-8/],
    ] as const) {
      assertRefused(await place.run(["send", "Anna", "-"], { ...bela, input }), 1, words);
    }
    assert.equal(await place.ok(["read"], anna), "");
  });

  test("exit code 5: nobody of that name", async () => {
    assertRefused(await place.run(["send", "nobody", "hi"], anna), 5, /nobody here is called nobody/);
    assertRefused(await place.run(["verify", "nobody"], anna), 5, /nobody here/);
    assertRefused(await place.run(["read", "nobody"], anna), 5, /nobody here/);
  });

  test("verify: both see the same sixty digits; --yes marks verified", async () => {
    const seen = await place.ok(["verify", "Bela"], { home: "cleo" });
    assert.match(seen, /^(\d{5} ){11}\d{5}$/);
    const marked = JSON.parse(await place.ok(["verify", "cleo", "--yes", "--json"], bela));
    assert.equal(marked.safetyNumber, seen);
    assert.equal(marked.verified, true);
    assert.match(await place.ok(["people"], bela), /^Cleo\toffline\tverified\t0$/m);
    assert.match(await place.ok(["people"], { home: "cleo" }), /^Bela\toffline\tunverified\t0$/m);
  });

  test("tail prints what waited, then what comes; SIGTERM ends it; what it printed is read", async () => {
    await place.ok(["send", "Bela", "before"], anna);
    const tail = place.start(["tail", "--json"], bela);
    const lines = createInterface({ input: tail.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => JSON.parse((await lines.next()).value ?? "null").text;
    assert.equal(await next(), "before");
    await place.ok(["send", "Bela", "during"], anna);
    assert.equal(await next(), "during");
    // The store has one owner: a second program is told so, and harms nothing.
    assertRefused(await place.run(["read"], bela), 1, /./);
    tail.kill("SIGTERM");
    assert.equal((await once(tail, "close"))[0], 0);
    assert.equal(await place.ok(["read"], bela), "");
  });

  test("exit code 4: the server is gone; nothing was sent, what is here is read; it comes back, and so do we", async () => {
    const { port } = server.listening;
    await place.ok(["send", "Bela", "already here"], anna);
    // It is read by the command that connects, whatever that is.
    await place.ok(["people"], bela);
    const tail = place.start(["tail"], { home: "cleo" });
    await textUntil(tail.stderr, /waiting for letters/);
    const gone = textUntil(tail.stderr, /offline/);
    await server.stop("SIGTERM");
    await gone;
    assertRefused(await place.run(["send", "Bela", "lost?"], anna), 4, /./);
    assertRefused(await place.run(["people"], anna), 4, /./);
    const stored = await place.run(["read"], bela);
    assert.match(stored.stdout, /\tAnna\talready here\n$/);
    assert.equal(stored.code, 4);
    assert.match(stored.stderr, /^snug: [^\n]+\n$/);
    assertRefused(await place.run(["read"], bela), 4, /./);
    assertRefused(
      await place.run(["join", "https://localhost:1/join#x", "--name", "x"], { home: "new" }),
      1,
      /./,
    );
    server = await place.serve(["--port", String(port)]);
    const back = textUntil(tail.stdout, /after the restart/);
    await place.ok(["send", "Cleo", "after the restart"], anna);
    await back;
    tail.kill("SIGTERM");
    await once(tail, "close");
    assert.equal(await place.ok(["read"], bela), "");
  });

  test("C10: what the other side does not take for now waits, is said to wait, and leaves by itself", async () => {
    await place.ok(["block", "Anna"], bela);
    const refused = await place.run(["send", "Bela", "later, then"], anna);
    assertRefused(
      refused,
      1,
      /does not take letters from you; the letter waits in the outbox until that changes/,
    );
    await place.ok(["unblock", "Anna"], bela);
    await place.ok(["send", "Bela", "and one more"], anna);
    assert.match(await place.ok(["read"], bela), /\tlater, then\n.*\tand one more$/);
  });

  test("C40: leave asks; without a terminal it needs --yes; then the home has no account, and its last letter is marked", async () => {
    await place.ok(["send", "Anna", "so long"], { home: "cleo" });
    assertRefused(await place.run(["leave"], { home: "cleo" }), 2, /--yes/);
    assert.equal((await place.run(["leave", "--yes"], { home: "cleo" })).code, 0);
    assert.equal((await place.run(["whoami"], { home: "cleo" })).code, 3);
    assertRefused(await place.run(["send", "Cleo", "still there?"], anna), 5, /no longer on this server/);
    const { code, stdout, stderr } = await place.run(["read", "--json"], anna);
    const { text, senderEnd } = JSON.parse(stdout);
    assert.deepEqual([code, text, senderEnd], [0, "so long", "left"]);
    assert.match(stderr, /by Cleo: Written before its sender left this server, as far as can be told/);
  });
});
