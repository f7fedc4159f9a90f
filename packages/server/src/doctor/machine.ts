import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { freemem } from "node:os";
import { promisify } from "node:util";
import { isUnset } from "../clock.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const run = promisify(execFile);
const megabyte = 1024 * 1024;
/** The sources need what came with it: base64 of Uint8Array, erasable types. */
const oldestNode = 25;

export function checkNode(version: string = process.versions.node): Finding {
  if (Number.parseInt(version, 10) >= oldestNode) return ok("node", `Node ${version}`);
  return fail(
    "node",
    `Node ${version}`,
    `run Node ${oldestNode} or newer; npm start brings its own on Linux`,
  );
}

/** Bytes that this process may still take. */
export function checkMemory(available: number): Finding {
  const fact = `${Math.round(available / megabyte)} MB of memory can be had`;
  if (available < 128 * megabyte)
    return fail("memory", fact, "a server alone takes about 110 MB: end other programs");
  if (available < 384 * megabyte) {
    return warn("memory", fact, "enough for few people; 512 MB leave room for films and many at once");
  }
  return ok("memory", fact);
}

/** What the system could still give, within this process's own bound. */
export async function availableMemory(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return Math.min(kilobytes === undefined ? freemem() : Number(kilobytes) * 1024, process.availableMemory());
}

/** `most`: open files that one process may have; undefined where that is not known. */
export function checkDescriptors(most: number | undefined): Finding {
  if (most === undefined) return ok("descriptors", "the bound on open files is not known here");
  const fact = `${most} files and connections may be open at once`;
  const advice = "raise it: LimitNOFILE=65536 in the unit, or ulimit -n 65536 in the shell";
  if (most < 256) return fail("descriptors", fact, advice);
  return most < 4096 ? warn("descriptors", fact, advice) : ok("descriptors", fact);
}

export async function descriptorLimit(): Promise<number | undefined> {
  const text = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
  return limit === "unlimited" ? Number.MAX_SAFE_INTEGER : limit === undefined ? undefined : Number(limit);
}

/** `synchronized` is null where the system does not say; `behind`: ms by which the clock is behind the last write. */
export function checkClock(of: { readonly synchronized: boolean | null; readonly behind: number }): Finding {
  const time = Date.now();
  const now = new Date(time).toISOString();
  if (isUnset(time)) {
    return fail(
      "clock",
      `the clock says ${now}, long before Snug was made: it is not set`,
      "set it (timedatectl set-ntp true); the first start makes no data folder before that",
    );
  }
  if (of.behind > 60_000) {
    return fail(
      "clock",
      `the clock says ${now}, but the data folder was written ${Math.round(of.behind / 1000)} s later`,
      "set the clock: certificates, invites and expiries go by it",
    );
  }
  if (of.synchronized === false) {
    return warn("clock", `the clock says ${now}; it is not synchronised`, "timedatectl set-ntp true");
  }
  const how = of.synchronized ? "synchronised" : "the system does not say whether it is synchronised";
  return ok("clock", `the clock says ${now}; ${how}`);
}

export async function isSynchronized(): Promise<boolean | null> {
  const said = await firstLine("timedatectl", ["show", "--property=NTPSynchronized", "--value"]);
  return said === "yes" ? true : said === "no" ? false : null;
}

export async function checkFfmpeg(): Promise<Finding> {
  const found = await Promise.all(
    ["ffmpeg", "ffprobe"].map(async (program) => {
      const line = await firstLine(program, ["-version"]);
      return { program, version: /version (\S+)/.exec(line ?? "")?.[1] };
    }),
  );
  const missing = found.filter(({ version }) => version === undefined).map(({ program }) => program);
  if (missing.length === 0) {
    return ok("ffmpeg", found.map(({ program, version }) => `${program} ${version}`).join(", "));
  }
  return warn(
    "ffmpeg",
    `there is no ${missing.join(" and no ")}`,
    "films play without it, but have no still picture; on Debian: apt install ffmpeg",
  );
}

async function firstLine(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await run(program, args, { timeout: 5000 });
    return stdout.split("\n", 1)[0];
  } catch (cause) {
    // Not installed, or it does not work here: either way it says nothing.
    if (cause instanceof Error) return undefined;
    throw cause;
  }
}
