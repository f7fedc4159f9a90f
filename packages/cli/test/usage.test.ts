import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { exitCodeOfStop } from "../src/failures.ts";
import { assertRefused, createPlace, entry, type Place } from "./place.ts";

suite("usage", { concurrency: 2 }, () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  /** A module hook that writes down every URL. */
  let hook: string;
  before(async () => {
    place = opened.use(await createPlace());
    hook = place.path("hook.mjs");
    await writeFile(
      hook,
      `import { registerHooks } from "node:module"; import { appendFileSync } from "node:fs";
       registerHooks({ load(url, context, next) { appendFileSync(process.env.LIST, url + "\\n"); return next(url, context); } });`,
    );
  });
  after(() => opened.disposeAsync());

  const wrong: readonly (readonly [words: RegExp, ...args: string[]])[] = [
    [/there is no command dance/, "dance"],
    [/unknown option '--prot'/, "serve", "--prot", "1"],
    [/'65536' is invalid.* from 0 to 65535/, "serve", "--port", "65536"],
    [/'ten' is invalid/, "serve", "--port", "ten"],
    [/--cert and --key belong together/, "serve", "--cert", "a.pem"],
    [/must be IP addresses/, "serve", "--trust-proxy", "10.0.0.1,proxy.example"],
    [/must be IP addresses/, "serve", "--trust-proxy", "10.0.0.0/33"],
    [
      /--acme-email and --acme-dns-hook belong/,
      "serve",
      "--acme-email",
      "a@b.example",
      "--name",
      "b.example",
    ],
    [/--acme-email and --acme-dns-hook belong/, "serve", "--acme-ca", "ca.pem"],
    [/needs --name, and no --cert/, "serve", "--acme-email", "a@b.example", "--acme-dns-hook", "./hook"],
    [/must be an IP address and a port/, "serve", "--metrics", "localhost:9464"],
    [/must be an IP address and a port/, "serve", "--metrics", "127.0.0.1"],
    [/must be an IP address and a port/, "serve", "--metrics", "[127.0.0.1]:9464"],
    [/Allowed choices are silent, warn, info/, "serve", "--log", "loud"],
    [/--home is the client's folder/, "serve", "--home", "x"],
    [/missing required argument 'link'/, "join", "--name", "anna"],
    [/required option '--name <name>'/, "join", "https://x/join#y"],
    [/missing required argument 'text'/, "send", "bela"],
    [/too many arguments/, "send", "bela", "one", "two"],
    [/'0' is invalid.* from 1 to 100/, "invite", "--uses", "0"],
    [/missing required argument 'file'/, "backup"],
    [/name a backup, or one of --adopt and --finish/, "restore"],
    [/name a backup, or one of --adopt and --finish/, "restore", "b.age", "--adopt"],
    [/name a backup, or one of --adopt and --finish/, "restore", "--finish", "--key", "k"],
    [/unknown option '--identity'/, "restore", "b.age", "--identity", "AGE-SECRET-KEY-1"],
    [/--json needs a command/, "--json"],
    [/needs a terminal/],
  ];
  for (const [words, ...args] of wrong) {
    test(`exit code 2: snug ${args.join(" ")}`, async () => {
      assertRefused(await place.run(args), 2, words);
    });
  }

  test("exit code 2: a wrong SNUG_PORT", async () => {
    assertRefused(
      await place.run(["serve"], { env: { SNUG_PORT: "many" } }),
      2,
      /'many' from env 'SNUG_PORT' is invalid/,
    );
  });

  for (const [args, words] of [
    [["--server", "http://home.example"], /must be HOST:PORT, or http:..localhost:PORT/],
    [["--server", "home.example:1/path"], /must be HOST:PORT/],
    [["--server", "a:b@home.example:1"], /must be HOST:PORT/],
    [["--authority", "AB:CD", "--server", "x:1"], /must be a fingerprint as the server prints it/],
    [["--authority", "ab".repeat(32)], /name both/],
  ] as const) {
    test(`exit code 2: snug ${args.join(" ")} people`, async () => {
      assertRefused(await place.run([...args, "people"]), 2, words);
    });
  }

  test("exit code 2: --server beside the server", async () => {
    assertRefused(await place.run(["--server", "x:1", "setup-link"]), 2, /--server is for clients/);
  });

  for (const [home, words] of [
    ["", /'' from env 'SNUG_HOME' is invalid. It must name a folder/],
    ["~/snug", /'~\/snug' from env 'SNUG_HOME' is invalid. Only a shell knows what ~ is/],
  ] as const) {
    test(`exit code 2: SNUG_HOME=${home}`, async () => {
      assertRefused(await place.run(["people"], { env: { SNUG_HOME: home } }), 2, words);
    });
  }

  test("a user whom the system does not know, without HOME, runs a server; clients say which folder", async () => {
    const unknown =
      'import os from "node:os"; import { syncBuiltinESMExports } from "node:module";' +
      'os.homedir = () => { throw Object.assign(new Error(), { code: "ERR_SYSTEM_ERROR" }); };' +
      "syncBuiltinESMExports();";
    const node = ["--import", `data:text/javascript,${encodeURIComponent(unknown)}`];
    assert.equal((await place.run(["serve", "--help"], { node })).code, 0);
    assertRefused(await place.run(["people"], { node }), 2, /no home folder; name one with --home/);
  });

  test("exit code 7: a home that is no folder, or lies in what is none, is named with the reason", async () => {
    await writeFile(place.path("file"), "not a folder");
    for (const home of ["file", "file/below"]) {
      const words = new RegExp(
        `^snug: the folder ${place.path(home)} can't be a home \\(.+\\): name another one`,
      );
      assertRefused(await place.run(["people"], { home }), 7, words);
    }
  });

  test("exit code 7: a connection that is over because of this device's store", () => {
    assert.equal(exitCodeOfStop("store"), 7);
    assert.equal(exitCodeOfStop("chain"), 6);
  });

  test("exit code 7: what is printed finds no room", { skip: !existsSync("/dev/full") }, async () => {
    const command = `"$0" "$1" --help > /dev/full`;
    const { status, stderr } = spawnSync("sh", ["-c", command, process.execPath, entry], {
      encoding: "utf8",
    });
    assert.deepEqual([status, stderr], [7, "snug: what is printed can't be written (ENOSPC)\n"]);
  });

  const needJoined = [
    ["whoami"],
    ["people"],
    ["verify", "bela"],
    ["send", "bela", "hi"],
    ["read"],
    ["tail"],
    ["invite"],
    ["videos"],
    ["play", "film"],
    ["leave", "--yes"],
  ];
  for (const args of needJoined) {
    test(`exit code 3: snug ${args[0]} in a home that has not joined`, async () => {
      assertRefused(await place.run(args, { home: `new-${args[0]}` }), 3, /no account yet; join with/);
    });
  }

  test("--version prints the version, and loads neither server, client nor Ink", async () => {
    const loaded = await loadedBy(["--version"]);
    assert.match(loaded.stdout, /^\d+\.\d+\.\d+\n$/);
    assert.doesNotMatch(loaded.modules, /\/(ink|react|fastify|zod|packages\/server|packages\/client)\//);
  });

  test("serve loads neither Ink nor React", async () => {
    const loaded = await loadedBy(["serve", "--port", "0", "--videos", "missing"]);
    assert.match(loaded.modules, /\/packages\/server\//);
    assert.doesNotMatch(loaded.modules, /\/(ink|react|yoga-layout)\//);
  });

  test("--help goes to stdout and names every command", async () => {
    const help = await place.ok(["--help"]);
    const commands = [
      "serve",
      "setup-link",
      "backup",
      "restore",
      "join",
      "whoami",
      "people",
      "verify",
      "invite",
      "leave",
    ];
    for (const command of [...commands, "send", "read", "tail", "videos", "play"]) {
      assert.match(help, new RegExp(`^ {2}${command}\\b`, "m"));
    }
    assert.match(await place.ok(["serve", "--help"]), /--trust-proxy <addresses>/);
  });

  /** Runs with the hook. */
  async function loadedBy(args: readonly string[]): Promise<{ stdout: string; modules: string }> {
    const list = place.path(`modules-${args[0]}`);
    const { stdout } = await place.run(args, { env: { NODE_OPTIONS: `--import=${hook}`, LIST: list } });
    return { stdout, modules: await readFile(list, "utf8") };
  }
});
