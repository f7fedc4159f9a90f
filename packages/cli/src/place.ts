import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { CommandError, exitCodes } from "./exit.ts";
import { createOutput } from "./output.ts";
import type { Place } from "./session.ts";

/** None for a user whom the system does not know and who has no HOME, as containers have them: servers need none. */
export function ownHome(): string | undefined {
  try {
    return join(homedir(), ".snug");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SYSTEM_ERROR") return undefined;
    throw error;
  }
}

/** Throws CommandError 2 when there is no folder for a client's state. */
export function homeOf(home: string | undefined): string {
  if (home !== undefined) return home;
  throw new CommandError(exitCodes.usage, "this user has no home folder; name one with --home");
}

/** Where a command finds its client, and where it prints. */
export function placeOf(command: Command): Place {
  const { home, json } = command.optsWithGlobals<{ home?: string; json?: true }>();
  return {
    // Looked at by those only who need one.
    get home() {
      return homeOf(home);
    },
    output: createOutput({ json: json === true }),
  };
}
