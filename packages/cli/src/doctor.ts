import { examine, type Finding } from "@snug/server/doctor";
import { CommandError, exitCodes } from "./exit.ts";
import type { Output } from "./output.ts";
import type { DoctorOptions } from "./serveOptions.ts";

/** Tells one finding a line, and what to do below it. Throws CommandError 1 when something fails, 2 for wrong flags. */
export async function doctor(options: DoctorOptions, output: Output): Promise<void> {
  const { data, host, port, name, cert, key } = options;
  if ((cert === undefined) !== (key === undefined)) {
    throw new CommandError(exitCodes.usage, "--cert and --key belong together");
  }
  const files = cert === undefined || key === undefined ? {} : { files: { cert, key } };
  let failed = 0;
  for await (const finding of examine({
    data,
    host,
    port,
    ...(name === undefined ? {} : { name: name.toLowerCase() }),
    ...files,
  })) {
    if (finding.verdict === "fail") failed++;
    await output.data(finding, lines(finding));
  }
  if (failed > 0) throw new CommandError(exitCodes.failed, `${failed} of the checks failed`);
}

function lines(finding: Finding): string {
  const { check, verdict, fact } = finding;
  const line = `${verdict.padEnd(4)}  ${check.padEnd(11)}  ${fact}`;
  return "advice" in finding ? `${line}\n${" ".repeat(19)}→ ${finding.advice}` : line;
}
