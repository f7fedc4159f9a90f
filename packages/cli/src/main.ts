import type { Hash } from "@snug/protocol";
import { Command, CommanderError, Option } from "commander";
import { addLetterCommands, addVideoCommands } from "./commands/letters.ts";
import { addAccountCommands } from "./commands/people.ts";
import { addServerCommands } from "./commands/server.ts";
import { CommandError, type ExitCode, exitCodes } from "./exit.ts";
import { harmlessLine } from "./output.ts";
import { homeOf, ownHome, placeOf } from "./place.ts";
import { fingerprintHash, serverOrigin } from "./reachOptions.ts";
import { folder } from "./serveOptions.ts";
import { version } from "./version.ts";

/** Runs one command line (without node and script). Sets the process's exit code; ends by itself. */
export async function main(args: readonly string[]): Promise<void> {
  endWithReader();
  // What server and clients write is for nobody else on this computer, wherever the folders are copied.
  process.umask(0o077);
  const code = await runCommand(args);
  // A signal's code is set already.
  process.exitCode ??= code;
}

async function runCommand(args: readonly string[]): Promise<ExitCode> {
  try {
    await createProgram().parseAsync([...args], { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // Commander has said its line already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`snug: ${harmlessLine(message)}\n`);
    if (error instanceof CommandError) return error.exitCode;
    const { exitCodeOf } = await import("./failures.ts");
    return exitCodeOf(error);
  }
}

/** `snug read | head -1`: a reader that has seen enough is no fault. */
function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    process.stderr.write(`snug: what is printed can't be written (${error.code ?? error.message})\n`);
    process.exit(exitCodes.disk);
  });
}

function createProgram(): Command {
  const program = new Command("snug")
    .description(
      "Talk end-to-end encrypted and watch video together on a server of your own.\n" +
        "Without a command: the terminal client.",
    )
    .version(version, "--version", "print the version")
    .helpOption("--help", "print help for a command")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(`snug: ${oneLine(text)}\n`) })
    .exitOverride()
    .option("--json", "one JSON object a line on stdout")
    .addOption(
      new Option("--home <folder>", "the folder of this client's state")
        .env("SNUG_HOME")
        .argParser(folder)
        .default(ownHome(), "~/.snug"),
    )
    .addOption(
      new Option("--server <host:port>", "where this home's server is from now on").argParser(serverOrigin),
    )
    .addOption(
      new Option("--authority <fingerprint>", "the fingerprint that it prints, with --server").argParser(
        fingerprintHash,
      ),
    )
    .hook("preAction", (_, command) => reachFirst(command));
  addServerCommands(program);
  addAccountCommands(program);
  addLetterCommands(program);
  addVideoCommands(program);
  // After the commands, which would inherit it: here an argument is a command that doesn't exist.
  return program.allowExcessArguments().action(() => openTerminal(program));
}

function oneLine(text: string): string {
  return text
    .replace(/^error: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ");
}

async function openTerminal(program: Command): Promise<void> {
  const [unknown] = program.args;
  if (unknown !== undefined) {
    throw new CommandError(exitCodes.usage, `there is no command ${unknown}; snug --help lists them`);
  }
  if (program.opts().json) throw new CommandError(exitCodes.usage, "--json needs a command");
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new CommandError(
      exitCodes.usage,
      "the terminal client needs a terminal; snug --help lists the commands",
    );
  }
  // React's development build is slower to load and to draw.
  process.env.NODE_ENV ??= "production";
  const { runTerminal } = await import("./terminal/run.ts");
  await runTerminal(homeOf(program.opts().home));
}

/** `--server` comes before whatever is asked for. */
async function reachFirst(command: Command): Promise<void> {
  const { server, authority, data } = command.optsWithGlobals<{
    server?: string;
    authority?: Hash;
    data?: string;
  }>();
  if (server === undefined && authority === undefined) return;
  if (data !== undefined)
    throw new CommandError(exitCodes.usage, "--server is for clients: this runs beside the server");
  if (server === undefined) {
    throw new CommandError(exitCodes.usage, "--authority says whose certificate --server shows: name both");
  }
  const { reach } = await import("./account.ts");
  await reach({ ...placeOf(command), reach: { origin: server, authority: authority ?? null } });
}
