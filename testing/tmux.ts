import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { patience } from "./patience.ts";
import { sessionsEnd } from "./processes.ts";

const execute = promisify(execFile);
/** ms from one look to the next while something has not come; and until a screen that has not changed is a whole one. */
const poll = 40;
const rest = 15;

/** A terminal of 100 × 30 with a shell in it, and the hands and eyes of a person. */
export interface Terminal extends AsyncDisposable {
  /** Named keys, as tmux calls them. */
  press(...keys: string[]): Promise<void>;
  type(text: string): Promise<void>;
  /** As a terminal pastes: in one piece, bracketed. */
  paste(text: string): Promise<void>;
  /** What is on the screen, once it matches and no more of it is being drawn. */
  see(words: RegExp): Promise<string>;
  /** What is on the screen, with the sequences that style it. */
  styled(): Promise<string>;
  resize(columns: number, rows: number): Promise<void>;
  /** One of tmux's variables of the pane. */
  ask(variable: string): Promise<string>;
}

export async function openTerminal(folder: string, env: Readonly<Record<string, string>>): Promise<Terminal> {
  const socket = `${folder}/tmux`;
  // A person's terminal: nothing in it says that it is a test's, where Ink would show neither colour nor changes.
  const { CI: _ci, NO_COLOR: _plain, TMUX: _outer, ...outside } = process.env;
  const tmux = async (...args: string[]): Promise<string> =>
    (await execute("tmux", ["-u", "-S", socket, "-f", "/dev/null", ...args], { env: outside })).stdout;
  const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const shell = ["bash", "--norc", "--noprofile"];
  await tmux("new-session", "-d", "-x", "100", "-y", "30", "-c", folder, ...variables, ...shell);
  return {
    press: async (...keys) => void (await tmux("send-keys", ...keys)),
    type: async (text) => void (await tmux("send-keys", "-l", text)),
    async paste(text) {
      await tmux("set-buffer", text);
      await tmux("paste-buffer", "-p");
    },
    async see(words) {
      const end = performance.now() + patience;
      let last = "";
      for (;;) {
        const screen = await tmux("capture-pane", "-p");
        const is = words.test(screen);
        if (is && screen === last) return screen;
        assert.ok(performance.now() < end, `${words} does not appear on:\n${screen}`);
        last = screen;
        await wait(is ? rest : poll);
      }
    },
    styled: () => tmux("capture-pane", "-p", "-e"),
    resize: async (columns, rows) => void (await tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`)),
    ask: async (variable) => (await tmux("display-message", "-p", `#{${variable}}`)).trim(),
    async [Symbol.asyncDispose]() {
      const leaders = (await tmux("display-message", "-p", "#{pid} #{pane_pid}")).split(" ").map(Number);
      await tmux("kill-server");
      // Its socket lies in a folder that is about to be removed, and so may what a program in it still writes.
      await sessionsEnd(leaders);
    },
  };
}
