import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { eventually } from "../../../testing/browser.ts";
import { openTerminal, type Terminal } from "../../../testing/tmux.ts";
import { createPlace, entry, type Place, sampleVideos, type TestServer } from "./place.ts";

suite("the terminal client, driven in tmux", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: TestServer;
  let terminal: Terminal;
  const anna = { home: "anna" };
  before(async () => {
    place = opened.use(await createPlace());
    await copyFile(join(sampleVideos, "Test card_240p.mp4"), place.path("videos", "Test card_240p.mp4"));
    server = await place.serve();
    // Restarted on the way: what is ended is the one that runs then.
    opened.defer(() => server[Symbol.asyncDispose]());
    await place.ok(["join", "-", "--name", "Anna"], { ...anna, input: server.listening.setupLink ?? "" });
    await mkdir(place.path("empty"));
    const hook = place.path("hook.mjs");
    await writeFile(hook, `process.on("SIGUSR2", () => { throw new Error("planted fault"); });`);
    // The pid of what runs in the terminal, and a PATH without mpv.
    const start = `echo $$ > pid; PATH="$PWD/empty"; exec "${process.execPath}" --import "${hook}" "${entry}"`;
    await writeFile(place.path("snug"), start);
    terminal = opened.use(
      await openTerminal(place.folder, {
        SNUG_HOME: place.path("bela"),
        HOME: place.folder,
        PS1: "ready$ ",
      }),
    );
  });
  after(() => opened.disposeAsync());

  /** Each step stands on the one before: after a failure the rest would only wait. */
  let failed = false;
  const step = (name: string, act: () => Promise<void>): void => {
    test(name, async (t) => {
      if (failed) return t.skip("a step before this failed");
      failed = true;
      await act();
      failed = false;
    });
  };

  const open = async (variable = ""): Promise<void> => {
    await terminal.see(/ready\$\s*$/);
    await terminal.type(`${variable}sh ./snug`);
    await terminal.press("Enter");
  };
  /** The shell is back as it was: its screen, its cursor, its line editing. */
  const restored = async (code: number): Promise<void> => {
    await terminal.see(/ready\$ .*sh \.\/snug\s[\s\S]*ready\$\s*$/);
    assert.equal(await terminal.ask("alternate_on"), "0");
    assert.equal(await terminal.ask("cursor_flag"), "1");
    await terminal.type("echo exit code $?");
    await terminal.press("Enter");
    await terminal.see(new RegExp(`^exit code ${code}$`, "m"));
    await terminal.type(
      "clear; stty -a | tr ' ' '\\n' | grep -E '^-?(icanon|echo|isig);?$' | sort | xargs echo modes:",
    );
    await terminal.press("Enter");
    await terminal.see(/^modes: echo icanon isig/m);
    await terminal.type("clear");
    await terminal.press("Enter");
  };
  const signal = async (name: NodeJS.Signals): Promise<void> => {
    process.kill(Number(await readFile(place.path("pid"), "utf8")), name);
  };

  step("joins by a pasted link, shows the recovery code once, then the menu", async () => {
    await open();
    await terminal.see(/not joined a server yet/);
    assert.equal(await terminal.ask("alternate_on"), "1");
    await terminal.paste("nonsense");
    await terminal.press("Enter");
    await terminal.see(/! this is not a whole Snug link/);
    await terminal.press("C-u");
    await terminal.paste(await place.ok(["invite"], anna));
    await terminal.press("Enter");
    await terminal.see(/by Anna[\s\S]*Name:/);
    await terminal.type("Bela");
    await terminal.press("Enter");
    await terminal.see(/Your recovery code/);
    await terminal.press("Enter");
    await terminal.see(/Bela +online[\s\S]*› {2}People[\s\S]*Videos[\s\S]*Quit/);
  });

  step("writes a letter to somebody offline, sees it accepted, then delivered, then the answer", async () => {
    await terminal.press("Enter");
    await terminal.see(/› {2}Anna +○ offline +verified/);
    await terminal.press("Enter");
    await terminal.see(/No letters yet/);
    await terminal.type("Hallo Anna, 👩‍👩‍👧!");
    await terminal.press("Enter");
    await terminal.see(/you ✓ sent +Hallo Anna, 👩‍👩‍👧!/);
    assert.match(await place.ok(["read"], anna), /\tBela\tHallo Anna, 👩‍👩‍👧!$/);
    await terminal.see(/you ✓✓ delivered +Hallo Anna/);
    await place.ok(["send", "Bela", "Hallo Bela"], anna);
    await terminal.see(/Anna +Hallo Bela/);
  });

  step("a letter of many lines, and a window that changes its size", async () => {
    await terminal.type("one");
    await terminal.press("C-j");
    await terminal.type("two");
    await terminal.press("Enter");
    await terminal.see(/sent +one\n +two/);
    await terminal.resize(60, 16);
    await terminal.see(/^─{60}$[\s\S]*Enter send/m);
    await terminal.resize(100, 30);
    await terminal.see(/^─{100}$/m);
  });

  step("shows the safety number that the other side sees", async () => {
    await terminal.press("Tab");
    const screen = await terminal.see(/(\d{5}\s+){11}\d{5}/);
    const shown = screen.match(/\d{5}/g)?.join(" ");
    assert.equal(shown, await place.ok(["verify", "Bela"], anna));
    await terminal.press("Escape");
    await terminal.see(/Hallo Bela/);
  });

  step("says in words that the server is gone, and that it is back", async () => {
    await server.stop("SIGTERM");
    await terminal.see(/offline \(/);
    await terminal.type("written offline");
    await terminal.press("Enter");
    await terminal.see(/queued +written offline/);
    server = await place.serve(["--port", String(server.listening.port)]);
    await terminal.see(/Bela +online[\s\S]*✓ sent +written offline/);
  });

  step("lists the videos; without mpv it gives the URL", async () => {
    await terminal.press("Escape");
    await terminal.see(/› {2}Anna/);
    await terminal.press("Escape");
    await terminal.see(/› {2}People/);
    await terminal.press("Down");
    await terminal.press("Enter");
    await terminal.see(/› {2}Test card +0:24 +240p/);
    await terminal.press("Enter");
    await terminal.see(
      /Open with any HLS player: Test card\n *https:\/\/\S+\/m\/[\s\S]*mpv is not installed/,
    );
  });

  step("q gives the terminal back, and ends with exit code 0", async () => {
    await terminal.press("q");
    await restored(0);
  });

  /** A colour of the foreground, whichever way it is written. */
  const colour = /\u001b\[[\d;]*\b(3[0-7]|38|9[0-7])\b/;
  step("NO_COLOR leaves no colour", async () => {
    await open();
    await terminal.see(/Bela +online/);
    await eventually("a colour", async () => colour.test(await terminal.styled()));
    await terminal.press("q");
    await restored(0);
    await open("NO_COLOR=1 ");
    await terminal.see(/Bela +online/);
    assert.doesNotMatch(await terminal.styled(), colour);
    await terminal.press("q");
    await restored(0);
  });

  for (const [name, code, leave] of [
    ["Ctrl-C", 0, () => terminal.press("C-c")],
    ["SIGTERM", 143, () => signal("SIGTERM")],
    ["SIGHUP", 129, () => signal("SIGHUP")],
    ["a fault inside", 1, () => signal("SIGUSR2")],
  ] as const) {
    step(`${name} gives the terminal back`, async () => {
      await open();
      await terminal.see(/Bela +online[\s\S]*› {2}People/);
      await leave();
      await restored(code);
    });
  }
});
