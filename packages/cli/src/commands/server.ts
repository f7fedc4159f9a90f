import type { Command } from "commander";
import { CommandError, exitCodes } from "../exit.ts";
import { placeOf } from "../place.ts";
import { dataOption, doctorFlags, serveOptions } from "../serveOptions.ts";

/** What runs a server, or beside it. */
export function addServerCommands(program: Command): void {
  addRunning(program);
  addDoctor(program);
  addBackup(program);
}

/** The server keeps its state in --data: a --home beside it would be silently without effect. */
function refuseHome(command: Command): void {
  if (command.parent?.getOptionValueSource("home") === "cli") {
    throw new CommandError(exitCodes.usage, "--home is the client's folder; the server's is --data");
  }
}

function addRunning(program: Command): void {
  const serve = program.command("serve").description("run the server").helpGroup("Server:");
  for (const option of serveOptions()) serve.addOption(option);
  serve.action(async (_, command: Command) => {
    refuseHome(command);
    const { serve } = await import("../serve.ts");
    await serve(command.optsWithGlobals());
  });
  program
    .command("setup-link")
    .description("print a new setup link of a running server that has no administrator yet")
    .helpGroup("Server:")
    .addOption(dataOption())
    .action(async (options: { data: string }, command: Command) => {
      refuseHome(command);
      const { printSetupLink } = await import("../serve.ts");
      await printSetupLink(options.data, placeOf(command).output);
    });
  program
    .command("rotate-log-key")
    .description("give the server a new key to sign its directory with; clients follow by themselves")
    .helpGroup("Server:")
    .addOption(dataOption())
    .action(async (options: { data: string }, command: Command) => {
      refuseHome(command);
      const { changeLogKey } = await import("../serve.ts");
      await changeLogKey(options.data, placeOf(command).output);
    });
}

function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("look at what a server needs, before the first start or beside a running one")
    .helpGroup("Server:");
  for (const option of serveOptions()) {
    if (doctorFlags.some((flag) => flag === option.attributeName())) command.addOption(option);
  }
  command.action(async (_, command: Command) => {
    refuseHome(command);
    const { doctor } = await import("../doctor.ts");
    await doctor(command.optsWithGlobals(), placeOf(command).output);
  });
}

function addBackup(program: Command): void {
  program
    .command("backup")
    .description("write an encrypted backup of a server, running or not")
    .helpGroup("Server:")
    .argument("<file>", "the file to make")
    .addOption(dataOption())
    .action(async (file: string, options: { data: string }, command: Command) => {
      refuseHome(command);
      const { backup } = await import("../backup.ts");
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
      const { adopt, finish, restore } = await import("../backup.ts");
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
