import assert from "node:assert/strict";
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { suite, test } from "node:test";
import { createPlace } from "./place.ts";

suite("doctor", () => {
  test("O31: one finding a line with what to do; exit code 0, also with warnings", async () => {
    await using place = await createPlace();
    await mkdir(place.path("bin"));
    const said = (word: string): Promise<void> =>
      writeFile(place.path("bin", "timedatectl"), `#!/bin/sh\necho ${word}\n`, { mode: 0o755 });
    // No ffmpeg on this path, and a clock that the test sets right.
    const env = { PATH: `${place.path("bin")}` };
    await said("no");
    const { code, stdout } = await place.run(["doctor", "--port", "0"], { env });
    // Where the temporary folder lies in memory, or on a disk without room, that is what fails.
    const failed = stdout.matchAll(/^fail {2}(\w+)/gm).map(([, check]) => check);
    const others = failed.filter((check) => check !== "disk" && check !== "space").toArray();
    assert.deepEqual([others, code], [[], /^fail/m.test(stdout) ? 1 : 0], stdout);
    assert.match(stdout, /^ok {4}node {9}Node \d/);
    assert.match(stdout, /^warn {2}clock .*not synchronised\n {19}→ timedatectl set-ntp true$/m);
    assert.match(stdout, /^warn {2}ffmpeg .*no ffmpeg and no ffprobe\n {19}→ .*apt install ffmpeg$/m);
    assert.match(stdout, /^ok {4}folder .*first start makes it$/m);
    await said("yes");
    assert.match((await place.run(["doctor"], { env })).stdout, /^ok {4}clock .*; synchronised$/m);
  });

  test("O31: what fails is counted on stderr, exit code 1; --json gives one object a line", async () => {
    await using place = await createPlace();
    {
      await using server = await place.serve(["--data", "data"]);
      const beside = [
        "doctor",
        "--data",
        "data",
        "--port",
        String(server.listening.port),
        "--name",
        "localhost",
      ];
      const findings = (await place.ok([...beside, "--json"])).split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(findings.at(-1)?.check, "name");
      assert.deepEqual(findings.at(-1)?.verdict, "ok");
      await server.stop("SIGTERM");
    }
    // Yesterday is where the clock went.
    const tomorrow = new Date(Date.now() + 86_400_000);
    await utimes(place.path("data", "snug.db"), tomorrow, tomorrow);
    const ran = await place.run(["doctor", "--data", "data", "--port", "0", "--json"]);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /^snug: \d of the checks failed\n$/);
    const failed = ran.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ verdict, check }) => verdict === "fail" && check !== "disk" && check !== "space");
    assert.deepEqual(
      failed.map(({ check }) => check),
      ["clock"],
    );
  });
});
