import { homedir } from "node:os";
import { join } from "node:path";
import type { Hash } from "@snug/protocol";
import { limits } from "@snug/protocol/limits";
import { Argument, Command, CommanderError, Option } from "commander";
import { CommandError, type ExitCode, exitCodes } from "./exit.ts";
import { createOutput, harmlessLine } from "./output.ts";
import { fingerprintHash, serverOrigin } from "./reachOptions.ts";
import { dataOption, doctorFlags, folder, serveOptions, wholeNumber } from "./serveOptions.ts";
import type { Place } from "./session.ts";
import { version } from "./version.ts";

/** Hours. */
const longestInvite = limits.invite / 3_600_000;

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
  addDoctorCommand(program);
  addBackupCommands(program);
  addAccountCommands(program);
  addLetterCommands(program);
  addVideoCommands(program);
  // After the commands, which would inherit it: here an argument is a command that doesn't exist.
  return program.allowExcessArguments().action(() => openTerminal(program));
}

/** None for a user whom the system does not know and who has no HOME, as containers have them: servers need none. */
function ownHome(): string | undefined {
  try {
    return join(homedir(), ".snug");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SYSTEM_ERROR") return undefined;
    throw error;
  }
}

/** Throws CommandError 2 when there is no folder for a client's state. */
function homeOf(home: string | undefined): string {
  if (home !== undefined) return home;
  throw new CommandError(exitCodes.usage, "this user has no home folder; name one with --home");
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

function placeOf(command: Command): Place {
  const { home, json } = command.optsWithGlobals<{ home?: string; json?: true }>();
  return {
    // Looked at by those only who need one.
    get home() {
      return homeOf(home);
    },
    output: createOutput({ json: json === true }),
  };
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

/** The server keeps its state in --data: a --home beside it would be silently without effect. */
function refuseHome(command: Command): void {
  if (command.parent?.getOptionValueSource("home") === "cli") {
    throw new CommandError(exitCodes.usage, "--home is the client's folder; the server's is --data");
  }
}

function addServerCommands(program: Command): void {
  const serve = program.command("serve").description("run the server").helpGroup("Server:");
  for (const option of serveOptions()) serve.addOption(option);
  serve.action(async (_, command: Command) => {
    refuseHome(command);
    const { serve } = await import("./serve.ts");
    await serve(command.optsWithGlobals());
  });
  program
    .command("setup-link")
    .description("print a new setup link of a running server that has no administrator yet")
    .helpGroup("Server:")
    .addOption(dataOption())
    .action(async (options: { data: string }, command: Command) => {
      refuseHome(command);
      const { printSetupLink } = await import("./serve.ts");
      await printSetupLink(options.data, placeOf(command).output);
    });
  program
    .command("rotate-log-key")
    .description("give the server a new key to sign its directory with; clients follow by themselves")
    .helpGroup("Server:")
    .addOption(dataOption())
    .action(async (options: { data: string }, command: Command) => {
      refuseHome(command);
      const { changeLogKey } = await import("./serve.ts");
      await changeLogKey(options.data, placeOf(command).output);
    });
}

function addDoctorCommand(program: Command): void {
  const command = program
    .command("doctor")
    .description("look at what a server needs, before the first start or beside a running one")
    .helpGroup("Server:");
  for (const option of serveOptions()) {
    if (doctorFlags.some((flag) => flag === option.attributeName())) command.addOption(option);
  }
  command.action(async (_, command: Command) => {
    refuseHome(command);
    const { doctor } = await import("./doctor.ts");
    await doctor(command.optsWithGlobals(), placeOf(command).output);
  });
}

function addBackupCommands(program: Command): void {
  program
    .command("backup")
    .description("write an encrypted backup of a server, running or not")
    .helpGroup("Server:")
    .argument("<file>", "the file to make")
    .addOption(dataOption())
    .action(async (file: string, options: { data: string }, command: Command) => {
      refuseHome(command);
      const { backup } = await import("./backup.ts");
      await backup(options.data, file, placeOf(command).output);
    });
  program
    .command("restore")
    .description("make a server's data folder out of a backup")
    .helpGroup("Server:")
    .argument("[file]", "the backup; its key is read from stdin")
    .option("--key <file>", "read the backup key from this file instead")
    .option("--adopt", "no file: the database was put back by hand, let clients come back to it")
    .option("--finish", "no file: wait no longer for devices that have not come back since")
    .addOption(dataOption())
    .action(async (file: string | undefined, options: RestoreOptions, command: Command) => {
      refuseHome(command);
      const { adopt, finish, restore } = await import("./backup.ts");
      const { output } = placeOf(command);
      const wanted = [file !== undefined, options.adopt === true, options.finish === true];
      if (wanted.filter(Boolean).length !== 1 || (file === undefined && options.key !== undefined)) {
        throw new CommandError(exitCodes.usage, "name a backup, or one of --adopt and --finish");
      }
      if (options.adopt) await adopt(options.data, output);
      else if (options.finish) await finish(options.data, output);
      else if (file !== undefined) await restore({ ...options, file }, output);
    });
}

interface RestoreOptions {
  readonly data: string;
  readonly key?: string;
  readonly adopt?: true;
  readonly finish?: true;
}

function addAccountCommands(program: Command): void {
  const add = (name: string, description: string): Command =>
    program.command(name).description(description).helpGroup("You and others:");
  add("join", "make an account by a link")
    .argument("<link>", "setup link or invite; - reads it from stdin, where no other user sees it")
    .requiredOption("--name <name>", "your name on this server")
    .action(async (link: string, options: { name: string }, command: Command) => {
      const { join: joinServer } = await import("./account.ts");
      await joinServer({ ...placeOf(command), link, name: options.name });
    });
  add("whoami", "print your account").action(async (_, command: Command) => {
    const { whoami } = await import("./account.ts");
    await whoami(placeOf(command));
  });
  const people = add("people", "list who is here").action(async (_, command: Command) => {
    const { people } = await import("./people.ts");
    await people(placeOf(command));
  });
  addPeopleCommands(people);
  addDeviceCommands(
    add("devices", "list the devices of somebody").argument(
      "[name]",
      "yourself without; somebody called end: End",
    ),
  );
  add("verify", "print the safety number with somebody")
    .argument("<name>")
    .option("--yes", "the number was compared with theirs: mark them verified")
    .action(async (name: string, options: { yes?: true }, command: Command) => {
      const { verify } = await import("./people.ts");
      await verify({ ...placeOf(command), name, yes: options.yes === true });
    });
  add("invite", "print a link for somebody new")
    .option("--uses <number>", "how many people may use it", wholeNumber(1, limits.adminInviteUses), 1)
    .option("--hours <number>", "how long it is good", wholeNumber(1, longestInvite), longestInvite)
    .action(async (options: { uses: number; hours: number }, command: Command) => {
      const { invite } = await import("./invites.ts");
      await invite({ ...placeOf(command), ...options });
    });
  const invites = add("invites", "list your open invites").action(async (_, command: Command) => {
    const { listInvites } = await import("./invites.ts");
    await listInvites(placeOf(command));
  });
  invites
    .command("revoke")
    .description("end an invite: nobody joins by it any more")
    .argument("<id>", "its first letters, as the list has them")
    .action(async (id: string, _, command: Command) => {
      const { revokeInvite } = await import("./invites.ts");
      await revokeInvite({ ...placeOf(command), id });
    });
  for (const blocked of [true, false]) {
    add(
      blocked ? "block" : "unblock",
      blocked ? "take no more letters from somebody" : "take letters from somebody again",
    )
      .argument("<name>")
      .action(async (name: string, _, command: Command) => {
        const { block } = await import("./people.ts");
        await block({ ...placeOf(command), name, blocked });
      });
  }
  add("leave", "remove your account from the server for good")
    .option("--yes", "don't ask")
    .action(async (options: { yes?: true }, command: Command) => {
      const { leave } = await import("./account.ts");
      await leave({ ...placeOf(command), yes: options.yes === true });
    });
}

/** What only an administrator may do about others; everybody is told. */
function addPeopleCommands(people: Command): void {
  people
    .command("remove")
    .description("remove somebody's account for good (administrators)")
    .argument("<name>")
    .option("--yes", "don't ask")
    .action(async (name: string, options: { yes?: true }, command: Command) => {
      const { removePerson } = await import("./administration.ts");
      await removePerson({ ...placeOf(command), name, yes: options.yes === true });
    });
  people
    .command("role")
    .description("make somebody an administrator, or a member again (administrators)")
    .argument("<name>")
    .addArgument(new Argument("<role>").choices(["admin", "member"]))
    .action(async (name: string, role: "admin" | "member", _, command: Command) => {
      const { setRole } = await import("./administration.ts");
      await setRole({ ...placeOf(command), name, role });
    });
}

function addDeviceCommands(devices: Command): void {
  devices.action(async (name: string | undefined, _, command: Command) => {
    const { listDevices } = await import("./administration.ts");
    await listDevices({ ...placeOf(command), name });
  });
  devices
    .command("end")
    .description("end a device of somebody for good (administrators)")
    .argument("<name>")
    .argument("<device>", "its id, or how it begins, as snug devices lists it")
    .option("--yes", "don't ask")
    .action(async (name: string, device: string, options: { yes?: true }, command: Command) => {
      const { endDevice } = await import("./administration.ts");
      await endDevice({ ...placeOf(command), name, device, yes: options.yes === true });
    });
}

function addLetterCommands(program: Command): void {
  const add = (name: string, description: string): Command =>
    program.command(name).description(description).helpGroup("Letters:");
  add("send", "send a letter and wait until the server has it")
    .argument("<name>")
    .argument("<text>", "- reads it from stdin")
    .action(async (name: string, text: string, _, command: Command) => {
      const { send } = await import("./letters.ts");
      await send({ ...placeOf(command), name, text });
    });
  add("read", "print unread letters and mark them read")
    .argument("[name]", "only those of one person")
    .action(async (name: string | undefined, _, command: Command) => {
      const { read } = await import("./letters.ts");
      await read({ ...placeOf(command), name });
    });
  add("tail", "print unread letters, then each one as it comes").action(async (_, command: Command) => {
    const { tail } = await import("./letters.ts");
    await tail(placeOf(command));
  });
}

function addVideoCommands(program: Command): void {
  const add = (name: string, description: string): Command =>
    program.command(name).description(description).helpGroup("Videos:");
  add("videos", "list the videos").action(async (_, command: Command) => {
    const { videos } = await import("./videos.ts");
    await videos(placeOf(command));
  });
  add("play", "play a video with mpv")
    .argument("<title>")
    .option("--print-url", "print a URL that any HLS player opens, valid for 10 minutes until first used")
    .action(async (title: string, options: { printUrl?: true }, command: Command) => {
      const { play } = await import("./videos.ts");
      await play({ ...placeOf(command), title, printUrl: options.printUrl === true });
    });
}
