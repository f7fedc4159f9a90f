import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** As root of a namespace of its own: where that is not allowed, as root of this machine. */
const ways = [["--user", "--map-root-user", "--mount"], ["--mount"]] as const;
const way = ways.find((flags) => {
  const found = spawnSync("unshare", [...flags, "mount", "-t", "tmpfs", "none", "/mnt"]);
  return found.status === 0;
});

/** Why there can be no small disk here, or false. */
export const withoutDisks: string | false =
  way === undefined ? "this machine lets nobody mount a tmpfs (unshare --user --mount, or as root)" : false;

/**
 * A disk of a few mebibytes (tmpfs) that is real to whatever runs on it: it gets full, and can be made read-only. It is
 * seen only by programs started by {@link within}, and gone when disposed.
 */
export class SmallDisk implements AsyncDisposable {
  /** Where it is, for what runs on it. */
  readonly path: string;
  readonly #holder: ChildProcess;

  private constructor(path: string, holder: ChildProcess) {
    this.path = path;
    this.#holder = holder;
  }

  static async mount(mebibytes: number): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), "snug-disk-"));
    const script = `mount -t tmpfs -o size=${mebibytes}m,mode=700 none "$0" && echo mounted && cat`;
    // Its mounts end with the last process in it: this one reads until it is let go.
    const holder = spawn("unshare", [...(way ?? []), "sh", "-c", script, path], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(createInterface(holder.stdout), "line");
    return new SmallDisk(path, holder);
  }

  /** A command that runs another where this disk is, by exec. */
  get within(): readonly string[] {
    const user = way?.length === ways[0].length ? ["--user", "--preserve-credentials"] : [];
    return ["nsenter", "--target", String(this.#holder.pid), ...user, "--mount"];
  }

  /** The same file, for who is not on the disk. */
  outside(path: string): string {
    return `/proc/${this.#holder.pid}/root${path}`;
  }

  /** Takes what room there is, but for so many bytes. */
  async fill(but = 0): Promise<void> {
    const file = await open(this.outside(join(this.path, "filler")), "a");
    try {
      for (const piece of [Buffer.alloc(1_048_576, 1), Buffer.alloc(4096, 1)]) {
        for (let room = true; room; ) room = await file.write(piece).then(() => true, isFull);
      }
      const { size } = await file.stat();
      await file.truncate(Math.max(0, size - but));
    } finally {
      await file.close();
    }
  }

  /** Gives the room free that {@link fill} took. */
  async empty(): Promise<void> {
    await rm(this.outside(join(this.path, "filler")));
  }

  remount(how: "ro" | "rw"): void {
    this.#run("mount", "-o", `remount,${how}`, this.path);
  }

  #run(...args: string[]): void {
    const [command = "", ...rest] = [...this.within, ...args];
    execFileSync(command, rest, { stdio: "inherit" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#holder, "exit");
    this.#holder.stdin?.end();
    await ended;
    await rm(this.path, { recursive: true, force: true });
  }
}

function isFull(cause: NodeJS.ErrnoException): false {
  if (cause.code !== "ENOSPC") throw cause;
  return false;
}
