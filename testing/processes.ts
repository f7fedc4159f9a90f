import { readdir, readFile, readlink } from "node:fs/promises";
import { eventually } from "./browser.ts";

/** Waits until every process of the sessions that these began has ended (setsid(2)): what is told to end may still write. */
export async function sessionsEnd(leaders: readonly number[]): Promise<void> {
  await eventually("the sessions end", async () => {
    const sessions = await Promise.all((await otherProcesses()).map(sessionOf));
    return leaders.every((leader) => !sessions.includes(leader));
  });
}

/** Waits until no other process has a file below a folder open. */
export async function released(folder: string): Promise<void> {
  await eventually(`${folder} is nobody's`, async () => {
    const open = await Promise.all((await otherProcesses()).map(openFiles));
    return !open.flat().some((path) => path.startsWith(`${folder}/`));
  });
}

async function otherProcesses(): Promise<string[]> {
  const own = String(process.pid);
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && name !== own);
}

/** Null for one that has ended, whether or not its parent took note of it. Fields of /proc/PID/stat: proc_pid_stat(5). */
async function sessionOf(pid: string): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const [state = "Z", , , session] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return "ZX".includes(state) ? null : Number(session);
}

/** None of one that has ended, or of another user's. */
async function openFiles(pid: string): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  return Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
}
