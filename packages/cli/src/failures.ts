import { NetworkError, StoreError } from "@snug/client";
import { type ErrorCode, SnugError } from "@snug/protocol";
import { type ExitCode, exitCodes } from "./exit.ts";

const ofProtocol: Partial<Record<ErrorCode, ExitCode>> = {
  "not-found": exitCodes.notFound,
  "rolled-back": exitCodes.verification,
  "incarnation-changed": exitCodes.verification,
  forbidden: exitCodes.verification,
  unavailable: exitCodes.network,
};

/** The exit code that stands for a failure inside client or protocol. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof NetworkError) return exitCodes.network;
  if (error instanceof StoreError) return exitCodes.disk;
  if (error instanceof SnugError) return ofProtocol[error.code] ?? exitCodes.failed;
  return exitCodes.failed;
}

/** Proofs of a dishonest server that stop a connection, beside the protocol's codes. */
const proofs: readonly string[] = ["chain", "directory", "two-histories"];

/** What a stopped connection's code means to a script. */
export function exitCodeOfStop(code: string): ExitCode {
  if (proofs.includes(code)) return exitCodes.verification;
  if (code === "store") return exitCodes.disk;
  return ofProtocol[code as ErrorCode] ?? exitCodes.failed;
}
