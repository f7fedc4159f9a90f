import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Hash } from "@snug/protocol";

/** Calls by which a row reaches a file, a file the disk, and an answer its client. */
const calls = "pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,sendmmsg,fsync,fdatasync";

/** A command that traces another into a file: every thread, paths by their names, data as hexadecimals, nothing cut off. */
export function tracing(file: string): readonly string[] {
  // -D: the traced process stays the caller's own child.
  return ["strace", "-D", "-f", "-y", "-xx", "-s", "300000", "-e", `trace=${calls}`, "-o", file];
}

/** Why nothing can be traced here, or false. */
export function untraceable(): string | false {
  const { error, status, stderr } = spawnSync("strace", ["-e", "trace=none", "true"], { encoding: "utf8" });
  if (error) return "strace is not installed";
  return status === 0 ? false : `strace may not trace here: ${stderr.trim().split("\n").at(-1)}`;
}

/** What to look for in a trace: bytes of the row, and its hash, which only the server can have made. */
export interface Accepted {
  readonly sealed: Uint8Array;
  readonly rowHash: Hash;
}

/** What a trace says of one row. */
interface Fate {
  readonly row: string;
  readonly answer: string;
  /** The file that holds it, from the end of the write on. */
  file: string | null;
  /** A call that syncs this file has begun behind that, and ended. */
  synced: boolean;
  /** Whether it was durable when the first byte about it left. */
  answered: "not" | "too early" | "durable";
}

/** strace's lines: `PID name(FD<path>rest`, ended in the same line or behind `<... name resumed>`. */
const begun = /^(\d+) +(\w+)\(\d+<(.*?)>(.*)$/;
const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/;

interface Call {
  readonly name: string;
  readonly path: string;
  readonly data: string;
  /** Rows that were in the file before the call began. */
  readonly covers: readonly Fate[];
}

/**
 * Reads a trace and judges each row: its bytes were written to a file, a sync of this file began behind that and
 * succeeded, and only then the first byte about the row was written to a socket. Returns what is not so, in words.
 * The order of lines is that of the tracer, which every call has to pass at its beginning and at its end.
 */
export async function judgeTrace(file: string, accepted: readonly Accepted[]): Promise<string[]> {
  const fates = accepted.map(
    ({ sealed, rowHash }): Fate => ({
      row: hex(sealed.subarray(0, 32)),
      answer: hex(new TextEncoder().encode(rowHash)),
      ...{ file: null, synced: false, answered: "not" },
    }),
  );
  const open = new Map<string, Call>();
  for await (const line of createInterface({ input: createReadStream(file, "latin1") })) {
    const [, thread = "", name = "", path = "", rest = ""] = begun.exec(line) ?? [];
    if (name !== "") {
      const call = begin(fates, { name, path: textOf(path), data: rest });
      if (rest.endsWith("<unfinished ...>")) open.set(thread, call);
      else end(fates, call, rest);
    } else {
      const [, of = "", , result = ""] = resumed.exec(line) ?? [];
      const call = open.get(of);
      if (call) end(fates, call, result);
      open.delete(of);
    }
  }
  return fates.flatMap(({ answer, file: holder, answered }) => {
    if (answered === "durable") return [];
    const row = textOf(answer);
    if (answered === "not") return [`${row}: no answer was seen`];
    return [
      `${row}: answered ${holder ? `before ${holder} was synced` : "before it was written to any file"}`,
    ];
  });
}

function begin(fates: readonly Fate[], call: Pick<Call, "name" | "path" | "data">): Call {
  const { name, path, data } = call;
  if (path.startsWith("socket:") || path.startsWith("TCP")) {
    for (const fate of fates) {
      if (fate.answered === "not" && data.includes(fate.answer))
        fate.answered = fate.synced ? "durable" : "too early";
    }
  }
  const syncs = name === "fsync" || name === "fdatasync";
  return { ...call, covers: syncs ? fates.filter((fate) => fate.file === path) : [] };
}

function end(fates: readonly Fate[], { name, path, data, covers }: Call, rest: string): void {
  if (!/= \d+$/.test(rest)) return;
  for (const fate of covers) fate.synced = true;
  if (!path.startsWith("/") || name === "fsync" || name === "fdatasync") return;
  for (const fate of fates) if (fate.file === null && data.includes(fate.row)) fate.file = path;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

function textOf(hexadecimals: string): string {
  return Buffer.from(hexadecimals.replaceAll("\\x", ""), "hex").toString();
}
