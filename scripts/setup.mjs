// Brings a clone to the state in which it runs. Plain JavaScript for any Node >= 18, before anything is installed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Absolute path of the clone, without a trailing slash. */
export const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");

/** Oldest host Node that can run the sources where no pinned binary exists for the system. */
const OLDEST_HOST_NODE = 25; // the first with Uint8Array.fromBase64

/** A fault with a message meant for the person at the terminal: one line, no stack. */
class SetupError extends Error {}

/**
 * Installs what is missing, builds the web bundle when its sources changed, and (forTests) the system's tools.
 * Costs no process when everything is up to date. Writes to stderr only.
 * @returns the path of the Node binary that runs Snug
 * @throws SetupError
 */
export async function setup({ forTests = false } = {}) {
  if (forTests) await installSystemTools();
  await installPackages();
  const node = findNode();
  await buildWeb(node);
  return node;
}

/** Runs `work`, and ends the process with one line on stderr when it throws a SetupError. */
export async function orExit(work) {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`snug: ${error.message}\n`);
    process.exit(1);
  }
}

// --- packages ---

/** Makes node_modules what package-lock.json says, by `npm ci`, unless it is already. */
export async function installPackages() {
  if (packagesAreCurrent()) return;
  const { file, args } = npmCommand();
  const flags = ["--ignore-scripts", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const preload = `--require ${JSON.stringify(join(root, "scripts", "pinned-version.cjs"))}`;
  const outcome = await runWithProgress("installing packages", {
    file,
    args: [...args, "ci", ...flags, "--loglevel=error"],
    environment: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} ${preload}` },
    // Asked to stop, npm tidies up for half a minute; what it leaves behind is replaced at the next start.
    stopBy: "SIGKILL",
  });
  if (outcome.code !== 0) throw new SetupError(`npm ci failed:\n${essence(outcome.output)}`);
}

/** npm writes the hidden lockfile last, so an interrupted installation has none. */
function packagesAreCurrent() {
  const wanted = readPackages(join(root, "package-lock.json"));
  const installed = readPackages(join(root, "node_modules", ".package-lock.json"));
  if (!wanted || !installed) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || !path.includes("node_modules/") || !isForThisSystem(entry)) continue;
    const found = installed[path];
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) return false;
  }
  const pinned = pinnedNodeFolder();
  return !(join("node_modules", pinned) in wanted) || existsSync(join(root, "node_modules", pinned, "bin"));
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).packages : undefined;
}

/** Optional packages of other systems are not installed; those that name a C library npm decides by itself. */
function isForThisSystem(entry) {
  if (!entry.optional) return true;
  const matches = (list, value) => list === undefined || [list].flat().includes(value);
  return (
    entry.libc === undefined &&
    !!entry.os &&
    matches(entry.os, process.platform) &&
    matches(entry.cpu, process.arch)
  );
}

/**
 * The npm that started us, on the Node that it runs on: the Node inside node_modules is about to be deleted.
 * Else the npm of the PATH, without node_modules/.bin.
 */
function npmCommand() {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  if (script && /npm-cli\.c?js$/.test(script) && existsSync(script) && node && existsSync(node)) {
    return { file: node, args: [script] };
  }
  return { file: process.platform === "win32" ? "npm.cmd" : "npm", args: [] };
}

/** What npm says went wrong, without its warnings about engines and its page of options. */
function essence(output) {
  const lines = output
    .split("\n")
    .filter((line) => !/^npm warn\b|EBADENGINE|^npm error\s*$|^\s*$/.test(line));
  const help = lines.findIndex((line) => /^npm error (Clean install|Usage:)/.test(line));
  return lines.slice(0, Math.min(help === -1 ? lines.length : help, 20)).join("\n");
}

// --- Node ---

function pinnedNodeFolder() {
  return `node-${process.platform}-${process.arch}`;
}

/** @throws SetupError when the system has no pinned binary and the host's Node is too old. */
export function findNode() {
  const pinned = join(root, "node_modules", pinnedNodeFolder(), "bin", "node");
  if (existsSync(pinned) && hostHasGlibc()) return pinned;
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_HOST_NODE) return process.execPath;
  throw new SetupError(
    `no Node comes with Snug for ${process.platform} ${process.arch}; install Node ${OLDEST_HOST_NODE} or newer ` +
      `(this is ${process.versions.node}) and run the same command again`,
  );
}

/** The pinned binaries are linked against glibc: without its loader they can't start. */
function hostHasGlibc() {
  return existsSync("/lib64/ld-linux-x86-64.so.2") || existsSync("/lib/ld-linux-aarch64.so.1");
}

/** Whether this very process already runs on the given binary. */
export function runsOn(node) {
  return realpathSync(node) === realpathSync(process.execPath);
}

// --- web bundle ---

const BUNDLED_PACKAGES = ["client", "crypto", "media", "protocol", "web"];
const NOT_BUNDLED = new Set(["dist", "node_modules", "test"]);

/** Builds packages/web unless the bundle's record names the present contents of all its sources. */
async function buildWeb(node) {
  const record = join(root, "packages", "web", "dist", ".built");
  const sources = fingerprintOfWebSources();
  if (existsSync(record) && readFileSync(record, "utf8") === sources) return;
  const vite = join(root, "node_modules", "vite", "bin", "vite.js");
  const args = [vite, "build", join(root, "packages", "web"), "--logLevel", "warn"];
  const outcome = await runWithProgress("building the web client", { file: node, args });
  if (outcome.code !== 0) throw new SetupError(`the web client does not build:\n${outcome.output.trim()}`);
  writeFileSync(record, sources);
}

/** SHA-256 over names and contents: time stamps say nothing after a clone or a checkout. */
function fingerprintOfWebSources() {
  const hash = createHash("sha256");
  const add = (file) =>
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  add(join(root, "package-lock.json"));
  for (const name of BUNDLED_PACKAGES) for (const file of filesBelow(join(root, "packages", name))) add(file);
  return hash.digest("hex");
}

function filesBelow(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => !NOT_BUNDLED.has(entry.name),
  );
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : [];
  });
}

// --- the system's tools, for tests ---

const TOOLS = [
  { command: "ffmpeg", debian: "ffmpeg" },
  { command: "ffprobe", debian: "ffmpeg" },
  { command: "chromium", debian: "chromium" },
  { command: "tmux", debian: "tmux" },
  { command: "strace", debian: "strace" },
  { command: "pebble", debian: "pebble" },
];

/** Installs what the tests run beside Snug by apt-get as root; else says what to install. */
async function installSystemTools() {
  const missing = missingTools();
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => tool.debian))];
  const byHand = `the tests need ${packages.join(", ")}: apt-get install --no-install-recommends ${packages.join(" ")}`;
  if (process.getuid?.() !== 0 || !isOnPath("apt-get")) throw new SetupError(byHand);
  const label = `installing ${packages.join(", ")} with apt-get`;
  const install = ["install", "-y", "--no-install-recommends", ...packages];
  for (const args of [["update"], install]) {
    const outcome = await runWithProgress(label, { file: "apt-get", args: ["-q", ...args] });
    if (outcome.code !== 0) throw new SetupError(`${byHand}\n${outcome.output.trim()}`);
  }
  if (missingTools().length > 0) throw new SetupError(byHand);
}

function missingTools() {
  return TOOLS.filter((tool) => !isOnPath(tool.command));
}

function isOnPath(command) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .some((folder) => folder !== "" && existsSync(join(folder, command)));
}

// --- child processes ---

/**
 * Runs a command with its output held back; after a second a line on stderr says what takes so long. A signal that
 * ends us ends the command first, by `stopBy`.
 * @returns exit code and everything the command wrote
 */
async function runWithProgress(label, { file, args, environment = {}, stopBy = "SIGTERM" }) {
  const child = spawn(file, args, {
    cwd: root,
    env: { ...environmentForTools(), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32" && file.endsWith(".cmd"),
  });
  const chunks = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  child.stderr.on("data", (chunk) => chunks.push(chunk));
  let stoppedBy;
  const stopListening = onSignals((signal) => {
    stoppedBy = signal;
    child.kill(stopBy);
  });
  const hideProgress = showProgress(label);
  try {
    const { code } = await endOf(child);
    return { code, output: Buffer.concat(chunks).toString("utf8") };
  } catch (cause) {
    throw new SetupError(`${label}: ${file} can't be started (${cause.code ?? cause.message})`, { cause });
  } finally {
    hideProgress();
    stopListening();
    if (stoppedBy) endLike({ code: null, signal: stoppedBy });
  }
}

/** @returns a function that ends the line */
function showProgress(label) {
  const started = Date.now();
  const { isTTY } = process.stderr;
  let shown = false;
  const ticker = setInterval(() => {
    if (isTTY) process.stderr.write(`\r${label} … ${Math.round((Date.now() - started) / 1000)} s`);
    else if (!shown) process.stderr.write(`${label} …\n`);
    shown = true;
  }, 1000);
  return () => {
    clearInterval(ticker);
    const line = `${label}: ${((Date.now() - started) / 1000).toFixed(1)} s`;
    if (shown) process.stderr.write(`${isTTY ? "\r\x1b[K" : ""}${line}\n`);
  };
}

/** Without node_modules/.bin, which npm puts first and `npm ci` deletes, and without a NODE_ENV meant for others. */
function environmentForTools() {
  const { NODE_ENV: _, PATH = "", ...rest } = process.env;
  const folders = PATH.split(delimiter).filter((folder) => !folder.endsWith(join("node_modules", ".bin")));
  return { ...rest, PATH: folders.join(delimiter), DEBIAN_FRONTEND: "noninteractive" };
}

/** Resolves with exit code or signal once the child ended and its output was read. */
export function endOf(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}

const ENDING_SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"];

/** @returns a function that stops listening */
function onSignals(listener) {
  for (const signal of ENDING_SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of ENDING_SIGNALS) process.removeListener(signal, listener);
  };
}

/** Hands the signals that end us to the child; a terminal sends its own (Ctrl-C, closing) to both of us already. */
export function forwardSignals(child) {
  onSignals((signal) => {
    if (signal === "SIGTERM" || !process.stdin.isTTY) child.kill(signal);
  });
}

/** Ends this process as the child ended: same code, or 128 + the signal's number as shells report it. */
export function endLike({ code, signal }) {
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
}
