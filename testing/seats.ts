import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { type BrowserPerson, eventually } from "./browser.ts";
import { openTerminal, type Terminal } from "./tmux.ts";

const snug = fileURLToPath(new URL("../packages/cli/bin/snug.mjs", import.meta.url));
const execute = promisify(execFile);

/** How far a letter of one's own has come, as the screen says. */
export type Progress = "waiting" | "kept" | "delivered" | "held";

/** A person before a screen: what they do, and what they see of it. The words are of the screen itself. */
export interface Seat {
  readonly name: string;
  /** Opens the letters with somebody. */
  open(name: string): Promise<void>;
  /** Writes into the open conversation. */
  write(text: string): Promise<void>;
  /** All letters on the screen with gap marks between, from top to bottom; a gap mark is `…`. */
  letters(): Promise<string[]>;
  progress(text: string): Promise<Progress>;
  /** Everything that stands on the screen. */
  screen(): Promise<string>;
  /** Loud words above whatever is open, once they match. */
  alarm(words: RegExp): Promise<string>;
  alarms(): Promise<string>;
  /** Puts every notice away. */
  calm(): Promise<void>;
  /** What is said of letters that came again. */
  repeated(): Promise<string>;
  /** How well somebody is known, in the list of people. */
  trust(name: string): Promise<string>;
  /** Closes the program, and opens it again once that has happened. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
}

/** Waits until the letters on the screen are these. */
export async function shows(seat: Seat, expected: readonly string[]): Promise<void> {
  let last: string[] = [];
  await eventually(`${seat.name} sees ${JSON.stringify(expected)}`, async () => {
    last = await seat.letters();
    return JSON.stringify(last.slice(-expected.length)) === JSON.stringify(expected);
  }).catch((cause: unknown) => {
    throw new assert.AssertionError({ message: String(cause), actual: last, expected });
  });
}

/** Waits until somewhere on a screen stands what is expected: it may be drawn a moment after the rest. */
export function reads(look: () => Promise<string>, words: RegExp): Promise<unknown> {
  return eventually(`${words} is on the screen`, async () => words.test((await look()).replace(/\s+/g, " ")));
}

export class BrowserSeat implements Seat {
  readonly name: string;
  readonly page: Page;
  readonly faults: string[];

  constructor(name: string, { page, faults }: BrowserPerson) {
    this.name = name;
    this.page = page;
    this.faults = faults;
  }

  async join(link: string): Promise<void> {
    await this.page.goto(link);
    await this.page.getByTestId("join-name").fill(this.name);
    await this.page.getByTestId("join-button").click();
    await this.page.getByTestId("recovery-done").click();
    await this.page.getByTestId("nav-chats").waitFor();
  }

  async invite(): Promise<string> {
    await this.page.getByTestId("nav-people").click();
    await this.page.getByTestId("invite-make").click();
    await this.page.getByTestId("invite-one").click();
    const link = await this.page.getByTestId("invite-link").textContent();
    await this.page.keyboard.press("Escape");
    return (link ?? "").trim();
  }

  async open(name: string): Promise<void> {
    await this.page.getByTestId("nav-people").click();
    await this.page.getByTestId(`person-${name}`).click();
    await this.page.getByTestId("composer").waitFor();
  }

  async write(text: string): Promise<void> {
    await this.page.getByTestId("composer").fill(text);
    await this.page.getByTestId("send").click();
  }

  letters(): Promise<string[]> {
    return this.page
      .locator('[data-testid="letter-text"], [data-testid="gap"]')
      .evaluateAll((found) =>
        found.map((each) => (each.getAttribute("data-testid") === "gap" ? "…" : (each.textContent ?? ""))),
      );
  }

  async progress(text: string): Promise<Progress> {
    const letter = this.page.getByTestId("letter").filter({ hasText: text }).last();
    const state = await letter.getAttribute("data-state");
    const words = { queued: "waiting", accepted: "kept", delivered: "delivered", held: "held" } as const;
    const progress = words[state as keyof typeof words];
    assert.ok(progress, `no letter of one's own: ${text}`);
    return progress;
  }

  async screen(): Promise<string> {
    return (await this.page.locator("body").textContent()) ?? "";
  }

  async alarm(words: RegExp): Promise<string> {
    return eventually(`${this.name} is told ${words}`, async () => {
      const alarms = await this.alarms();
      return words.test(alarms) ? alarms : null;
    });
  }

  async alarms(): Promise<string> {
    const loud = this.page.locator('[data-level="loud"]');
    return (await loud.allTextContents()).join("\n");
  }

  async calm(): Promise<void> {
    const dismiss = this.page.getByTestId("notice").getByRole("button");
    while ((await dismiss.count()) > 0) {
      await dismiss
        .first()
        .click({ timeout: 1_000 })
        .catch(() => undefined);
    }
  }

  async repeated(): Promise<string> {
    await this.page.getByTestId("nav-settings").click();
    return (await this.page.getByTestId("repeated").textContent()) ?? "";
  }

  async trust(name: string): Promise<string> {
    await this.page.getByTestId("nav-people").click();
    return (await this.page.getByTestId(`person-${name}`).textContent()) ?? "";
  }

  async restart(meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
    const url = this.page.url();
    await this.page.goto("about:blank");
    await meanwhile();
    await this.page.goto(url);
    await this.page.getByTestId("nav-chats").waitFor();
  }
}

export class TerminalSeat implements Seat, AsyncDisposable {
  readonly name: string;
  readonly home: string;
  readonly #terminal: Terminal;

  private constructor(name: string, home: string, terminal: Terminal) {
    this.name = name;
    this.home = home;
    this.#terminal = terminal;
  }

  static async join(name: string, folder: string, link: string): Promise<TerminalSeat> {
    const home = join(folder, name);
    await command(home, "join", link, "--name", name);
    const terminal = await openTerminal(folder, { SNUG_HOME: home, PS1: "ready$ " });
    await terminal.resize(100, 40);
    const seat = new TerminalSeat(name, home, terminal);
    await seat.#start();
    return seat;
  }

  async open(name: string): Promise<void> {
    await this.#people();
    const shown = await this.#terminal.see(new RegExp(`^[› ] {2}${name} +[●○]`, "m"));
    const rows = shown.split("\n").filter((line) => /^[› ] {2}\S.* [●○] /.test(line));
    const at = rows.findIndex((row) => row.slice(3).startsWith(`${name} `));
    await this.#terminal.press("Home", ...Array.from({ length: at }, () => "Down"));
    await this.#terminal.see(new RegExp(`^› {2}${name} `, "m"));
    await this.#terminal.press("Enter");
    await this.#terminal.see(new RegExp(`^ ${name} · [\\s\\S]*^ >`, "m"));
  }

  async write(text: string): Promise<void> {
    await this.#terminal.type(text);
    await this.#terminal.see(new RegExp(`> ${text}`));
    await this.#terminal.press("Enter");
  }

  async letters(): Promise<string[]> {
    const lines = (await this.screen()).split("\n");
    return lines.flatMap((line) => {
      if (/^ — .*(missing|not arrived).* —/.test(line)) return ["…"];
      const text = /^ \d\d:\d\d .{18} (?<text>\S.*)$/.exec(line)?.groups?.text;
      return text === undefined ? [] : [text.trim()];
    });
  }

  async progress(text: string): Promise<Progress> {
    const line = (await this.screen()).split("\n").findLast((each) => each.includes(text)) ?? "";
    const words = { queued: "waiting", sent: "kept", delivered: "delivered", held: "held" } as const;
    const word = /you (?:✓+ )?(?<word>queued|sent|delivered|held)/.exec(line)?.groups?.word;
    assert.ok(word, `no letter of one's own: ${text}`);
    return words[word as keyof typeof words];
  }

  screen(): Promise<string> {
    return this.#terminal.see(/Snug/);
  }

  async alarm(words: RegExp): Promise<string> {
    return eventually(`${this.name} is told ${words}`, async () => {
      const alarms = await this.alarms();
      return words.test(alarms) ? alarms : null;
    });
  }

  /** What stands between the two rules at the top, on one line: the terminal breaks lines where it likes. */
  async alarms(): Promise<string> {
    const [, alarms = ""] = (await this.screen()).split(/^[─━]{20,}$/m);
    return alarms.includes("!") ? alarms.replace(/\s+/g, " ").trim() : "";
  }

  async calm(): Promise<void> {
    await this.#menu();
    while (/\(x puts this away/.test((await this.screen()).replace(/\s+/g, " "))) {
      await this.#terminal.press("x");
    }
  }

  async repeated(): Promise<string> {
    await this.#menu();
    return this.screen();
  }

  async trust(name: string): Promise<string> {
    await this.#people();
    const shown = await this.#terminal.see(new RegExp(`^[› ] {2}${name} +[●○]`, "m"));
    const row = new RegExp(`^[› ] {2}${name} +[●○]`);
    return shown.split("\n").find((line) => row.test(line)) ?? "";
  }

  async restart(meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
    await this.leaveScreen();
    await meanwhile();
    await this.#start();
  }

  /** Opens the program again. */
  startAgain(): Promise<void> {
    return this.#start();
  }

  /** Ends the program: commands may use its home. */
  async leaveScreen(): Promise<void> {
    await this.#terminal.press("C-c");
    await this.#terminal.see(/ready\$\s*$/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#terminal[Symbol.asyncDispose]();
  }

  async #start(): Promise<void> {
    await this.#terminal.type(`clear; '${process.execPath}' '${snug}'`);
    await this.#terminal.press("Enter");
    await this.#terminal.see(/› {2}People/);
  }

  async #menu(): Promise<void> {
    for (;;) {
      const screen = await this.#terminal.see(/Snug/);
      if (/^ *[› ] {2}Quit/m.test(screen)) return;
      await this.#terminal.press("Escape");
      // A lone escape is told from the beginning of a key's sequence by time.
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  }

  async #people(): Promise<void> {
    await this.#menu();
    await this.#terminal.press("Home", "Enter");
    await this.#terminal.see(/v safety number/);
  }
}

/** What became of a command: its words, both outputs together, and its exit code. */
export interface CommandEnd {
  readonly code: number;
  readonly words: string;
}

/** Runs one command of the command line with a home. */
export async function tryCommand(home: string, ...args: readonly string[]): Promise<CommandEnd> {
  try {
    const { stdout, stderr } = await execute(process.execPath, [snug, ...args, "--home", home]);
    return { code: 0, words: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, words: stdout + stderr };
  }
}

export async function command(home: string, ...args: readonly string[]): Promise<string> {
  const { code, words } = await tryCommand(home, ...args);
  assert.equal(code, 0, words);
  return words;
}
