// `npm run simulate -- [--seeds N] [--from SEED] [--on] [--trace]`: the courses of N seeds. The first that breaks a
// promise (with --on, each) is told with its seed; the end of its trace is that of the shortest script that still breaks it.
import { parseArgs } from "node:util";
import { KeyPool } from "./keyPool.ts";
import { scriptOf } from "./script.ts";
import { shrink } from "./shrink.ts";
import { makeCourseLogKeys, type Outcome, play } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    trace: { type: "boolean", default: false },
    on: { type: "boolean", default: false },
  },
});
/** Courses that are played to make a script shorter. */
const mostCourses = 150;
const from = Number(values.from);
const of = { keys: new KeyPool(), logKeys: await makeCourseLogKeys() };
const began = performance.now();
const sums = { courses: 0, letters: 0, commits: 0, diskFaults: 0, broken: 0 };

for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const outcome = await play(scriptOf(seed), of);
  sums.courses++;
  sums.letters += outcome.letters;
  sums.commits += outcome.commits;
  sums.diskFaults += outcome.diskFaults;
  if (values.trace) write([...outcome.lines, `seed ${seed}: trace ${outcome.hash}`]);
  if (!outcome.failure) continue;
  sums.broken++;
  process.exitCode = 1;
  if (values.on) write([`seed ${seed}: ${outcome.failure.message}`]);
  else await tell(outcome);
  if (!values.on) break;
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
write([
  `${sums.courses} courses, ${sums.broken} broken, ${sums.letters} letters, ${sums.commits} commits, ` +
    `${sums.diskFaults} refused by the disk, ${seconds} s`,
]);

async function tell({ seed, failure }: Outcome): Promise<void> {
  write([`seed ${seed}: ${failure?.stack}`, "looking for a shorter script …"]);
  const { script, outcome } = await shrink(scriptOf(seed), (shorter) => play(shorter, of), mostCourses);
  write([...outcome.lines.slice(-60), `${outcome.failure?.message}`, "steps that are needed:"]);
  write(script.steps.map((step) => JSON.stringify(step)));
}

function write(lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
