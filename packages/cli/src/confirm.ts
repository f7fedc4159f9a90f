import { createInterface } from "node:readline/promises";
import { CommandError, exitCodes } from "./exit.ts";

/** Goes on when the person types a name. Throws CommandError 2 without a terminal to ask on, 1 for another answer. */
export async function confirm(
  command: string,
  of: { readonly question: string; readonly expected: string },
): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new CommandError(exitCodes.usage, `${command} asks; without a terminal add --yes`);
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${of.question} Type ${of.expected} to go on: `);
  prompt.close();
  if (answer.trim() !== of.expected) throw new CommandError(exitCodes.failed, "nothing was changed");
}
