// One runner for everything: node scripts/run-tests.ts FOLDER [PATH…] runs the test files below FOLDER whose path
// contains one of PATH (all of them without), and ends with the runner's own count.
import { globSync } from "node:fs";
import { join, sep } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const PATTERNS = ["packages/*/test/**/*.test.ts", "testing/**/*.test.ts", "docs/**/*.test.ts"];

/**
 * Milliseconds after which one test, or one file that does not end by itself, is given up: what hangs ends, and nothing
 * fails for being slow. Tests have no limits of their own.
 */
const TEST_LIMIT = 15 * 60_000;
const FILE_LIMIT = 30 * 60_000;

/**
 * Where `localhost` has two addresses, Node gives the first up after half a second: also when it was this process that
 * stood still. Milliseconds.
 */
const CONNECTING = ["--network-family-autoselection-attempt-timeout=180000"];

/** The runner's count over all files. A cancelled test did not get to its end: failed. */
interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

const [folder = ".", ...paths] = process.argv.slice(2);
const count = await runFiles(folder, findFiles(folder, paths));
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped}\n`);
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0;

function findFiles(cwd: string, wanted: readonly string[]): string[] {
  const files = globSync(PATTERNS, { cwd, exclude: ["**/node_modules/**"] }).sort();
  const normal = (path: string): string => path.split(sep).join("/");
  const kept = files.filter(
    (file) => wanted.length === 0 || wanted.some((part) => normal(file).includes(part)),
  );
  return kept.map((file) => join(cwd, file));
}

async function runFiles(cwd: string, files: string[]): Promise<Count> {
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return total;
  const giveUp = new AbortController();
  const limit = { timeout: TEST_LIMIT, signal: giveUp.signal };
  const events = run({ files, cwd, concurrency: 2, ...limit, execArgv: CONNECTING });
  const filesWithoutTest: string[] = [];
  const limits = new Map<string, NodeJS.Timeout>();
  events.on("test:dequeue", ({ name, file }) => {
    if (name !== file) return;
    limits.set(
      file,
      setTimeout(() => giveUp.abort(), FILE_LIMIT),
    );
  });
  events.on("test:complete", ({ name, file }) => {
    if (name === file) clearTimeout(limits.get(file));
  });
  events.on("test:pass", ({ name, file }) => {
    // The runner reports a file as a passed test of its own when no test ran in it, or it left before its end.
    if (name === file) filesWithoutTest.push(file);
  });
  events.on("test:summary", ({ file, counts, success }) => {
    if (file !== undefined) return;
    total.passed = counts.passed - filesWithoutTest.length;
    total.skipped = counts.skipped + counts.todo;
    const failed = counts.tests - total.passed - total.skipped;
    // A hook that fails outside any test fails the run without a failed test.
    total.failed = Math.max(failed, success ? 0 : 1);
  });
  // By the same stream as the last line, which must come after everything the reporter prints: it waits for a reader that
  // is slow, where writing to its number fails.
  for await (const text of events.compose(spec)) process.stdout.write(text);
  for (const file of filesWithoutTest) process.stdout.write(`✖ no test ran in ${file}\n`);
  return total;
}
