import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { eventually } from "./browser.ts";

const run = promisify(execFile);

/** A real terminal (tmux), driven by keys and read as a person sees it. */
export class Terminal implements AsyncDisposable {
  readonly #socket = `snug-${randomBytes(6).toString("hex")}`;

  private constructor() {
    // Made by open(): a terminal exists only once tmux runs it.
  }

  static async open(of: { readonly env?: Record<string, string> } = {}): Promise<Terminal> {
    const terminal = new Terminal();
    const env = Object.entries({ ...of.env }).flatMap(([key, value]) => ["-e", `${key}=${value}`]);
    await terminal.#tmux(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      "100",
      "-y",
      "30",
      ...env,
      "bash --norc --noprofile",
    );
    await terminal.shows(/[#$]/);
    await terminal.type("PS1='ready$ '; clear");
    await terminal.press("Enter");
    await terminal.shows(/^ready\$/);
    return terminal;
  }

  async #tmux(...args: string[]): Promise<string> {
    const { stdout } = await run("tmux", ["-L", this.#socket, ...args]);
    return stdout;
  }

  /** Types text as it is. */
  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", text);
  }

  /** Presses keys by tmux's names: Enter, Escape, Up, C-c … */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux("send-keys", ...keys);
  }

  async screen(): Promise<string> {
    return this.#tmux("capture-pane", "-p");
  }

  /** Resolves with the screen once it shows the text. */
  async shows(text: string | RegExp, within = 30_000): Promise<string> {
    let last = "";
    try {
      return await eventually(
        `the terminal shows ${text}`,
        async () => {
          last = await this.screen();
          return (typeof text === "string" ? last.includes(text) : text.test(last)) ? last : undefined;
        },
        within,
      );
    } catch (cause) {
      throw new Error(`the terminal never showed ${text}; it showed:\n${last}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server").catch(() => "already gone");
  }
}
