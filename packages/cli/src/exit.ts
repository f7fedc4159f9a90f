/** Exit codes of every command; scripts rely on them (docs/guides/command-line.md). */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notJoined: 3,
  network: 4,
  notFound: 5,
  /** Changed keys, a rolled-back server, a directory or link that does not check. */
  verification: 6,
  /** This device's disk takes nothing, or the home is no folder that can be used. */
  disk: 7,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A command's expected failure: one line for the person, one code for the script. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
