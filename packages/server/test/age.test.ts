import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decryptAge, encryptAge, generateBackupKey } from "../src/backup/age.ts";
import { decodeBech32, encodeBech32 } from "../src/backup/bech32.ts";
import { packTar, type TarEntry, unpackTar } from "../src/backup/tar.ts";
import { StartError } from "../src/startError.ts";

const chunk = 65_536;

/** A stream in pieces of an awkward size. */
async function* pieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}

function patterned(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => at * 7 + (at >> 8)));
}

async function refuses(source: AsyncIterable<Uint8Array>, message: RegExp): Promise<void> {
  await assert.rejects(all(source), (error) => {
    assert.ok(error instanceof StartError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

// Made by age 1.1.1 (Go): `age -r OTHER -r age1yvaqlsy6wslfuejyaeexjjrxs65rrfsks04ghe4md0rr8aqsz36q74vr6k`.
const identity = "AGE-SECRET-KEY-1WZW3M7K6UUPM4VYLG5A99WZF8XZN8WL4YDX2UZR66JMYJJ5V2TYQH2P4JS";
const hello = Buffer.from(
  "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSByMlNWQlMrY1dBVHRIclE4THFxRGRRQVpwZERJUlBBR3N0bHhDMU1uUkI0" +
    "CjhMaWRPTTdzTkgxU3ZjY0pqdWJab3Nqa3QzazdiRStaWmc0WnRyTzdicnMKLT4gWDI1NTE5IHpNUi9uUU9zc0FjTEtFdVkwWmdI" +
    "SkwrZFZyV1kvalBTL2FsakQ3VFd0bVEKMXBESC9SYlNOclJoYXZGY01mWW5tM09EZXJEZWZtUDk1UkQvbktiRmRxcwotLS0gWjZE" +
    "YU9KbGlsNjdzU2luSlJaOGpNdXRTcW4yNGJ0QzF1aHZ4T2VxRlYyUQrv+nKEl3R0xMB6x25p5LrHUb+Zj0Qxn3AmOipXTaoK3aW9" +
    "YgE3OdJcDXjgv1I=",
  "base64",
);
const nothing = Buffer.from(
  "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBqeEw4azJJYlR3aTZYQlpaUTE2RTR3OGlSb0l2cVFsNU9SUThsQ2hzMmkw" +
    "Cm5WMmFWN3k2dVJFNS85MVJvS1BwQmVjb0c5czRpVHA2NDJ0VXp2dlprZTQKLS0tIHNYUjZKajJrUFV2TTNwQmd0M1RpK0dZR1RV" +
    "VUlkNnN5cU1WUjZYVmJPb2cKLaPR97ESEorEn961od/lbMW24gTGdtNHnRoJ98DaMU8=",
  "base64",
);

test("D24: what age has sealed is opened, to whichever of several recipients", async () => {
  assert.equal((await all(decryptAge(identity, pieces(hello)))).toString(), "hello, backup");
  assert.equal((await all(decryptAge(identity.toLowerCase(), pieces(nothing, 7)))).length, 0);
});

test("D24: a file of age cut off at any byte, or with any byte changed, is refused in one line", async () => {
  for (let end = 0; end < hello.length; end++) {
    await refuses(decryptAge(identity, pieces(hello.subarray(0, end))), /^[^\n]*$/);
  }
  for (let at = 0; at < hello.length; at++) {
    const changed = Buffer.from(hello);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await refuses(decryptAge(identity, pieces(changed)), /^[^\n]*$/);
  }
  await refuses(decryptAge(identity, pieces(Buffer.concat([hello, Buffer.from([0])]))), /damaged or cut off/);
  await refuses(decryptAge(generateBackupKey().identity, pieces(hello)), /does not open this backup/);
  await refuses(decryptAge("AGE-SECRET-KEY-1XYZ", pieces(hello)), /not a backup key/);
});

for (const length of [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 5]) {
  test(`D24: ${length} bytes sealed and opened again are the same; cut between chunks they are refused`, async () => {
    const key = generateBackupKey();
    const plain = patterned(length);
    const sealed = await all(encryptAge(key.recipient, pieces(plain, 10_007)));
    assert.deepEqual(await all(decryptAge(key.identity, pieces(sealed))), plain);
    const body = sealed.length - plain.length - 16 * Math.max(1, Math.ceil(length / chunk));
    for (let end = body + chunk + 16; end < sealed.length; end += chunk + 16) {
      await refuses(decryptAge(key.identity, pieces(sealed.subarray(0, end))), /damaged or cut off/);
    }
  });
}

const hasAge = (() => {
  try {
    return execFileSync("age", ["--version"]).length > 0;
  } catch {
    return false;
  }
})();

test("D24: age and tar open what we seal", { skip: hasAge ? false : "age is not installed" }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "snug-age-"));
  try {
    const key = generateBackupKey();
    const content = patterned(2 * chunk);
    const entries: TarEntry[] = [
      { name: "one", size: content.length, time: 1_700_000_000_000, content: pieces(content) },
      { name: "keys/two", size: 3, time: 0, content: pieces(Buffer.from("two")) },
    ];
    await writeFile(join(folder, "key"), key.identity);
    await writeFile(join(folder, "file.age"), await all(encryptAge(key.recipient, packTar(entries))));
    const script = "age -d -i key file.age | tar xf - && cat keys/two";
    assert.equal(execFileSync("sh", ["-c", script], { cwd: folder }).toString(), "two");
    assert.deepEqual(await readFile(join(folder, "one")), content);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("D24: Bech32 has one spelling", () => {
  // BIP 173, and a prefix with the separator in it.
  assert.equal(encodeBech32("a", new Uint8Array()), "a12uel5l");
  const bytes = patterned(32);
  const text = encodeBech32("age-secret-key-", bytes);
  assert.deepEqual(Buffer.from(decodeBech32("age-secret-key-", text) ?? []), bytes);
  assert.deepEqual(Buffer.from(decodeBech32("age-secret-key-", text.toUpperCase()) ?? []), bytes);
  for (const wrong of [
    `${text}q`,
    text.slice(0, -1),
    text.replace("age", "Age"),
    text.replace(/.$/, "b"),
    "",
  ]) {
    assert.equal(decodeBech32("age-secret-key-", wrong), undefined, wrong);
  }
  assert.equal(decodeBech32("age", text), undefined);
});

test("D24: an archive comes back as it was; cut off anywhere, changed in a header, or followed by more it is refused", async () => {
  const files = [
    { name: "a", bytes: patterned(0) },
    { name: "b", bytes: patterned(512) },
    { name: "c/d", bytes: patterned(700) },
  ];
  const entries = files.map(({ name, bytes }) => ({
    name,
    size: bytes.length,
    time: 0,
    content: pieces(bytes),
  }));
  const archive = await all(packTar(entries));
  const read = async (bytes: Uint8Array): Promise<{ name: string; bytes: Buffer }[]> => {
    const found: { name: string; bytes: Buffer }[] = [];
    for await (const { name, content } of unpackTar(pieces(bytes)))
      found.push({ name, bytes: await all(content) });
    return found;
  };
  assert.deepEqual(await read(archive), files);
  const ended = archive.length - 1024;
  for (let end = 0; end < ended + 512; end += 97) {
    await assert.rejects(read(archive.subarray(0, end)), StartError, String(end));
  }
  for (const at of [0, 100, 124, 150, 156, 257, 345]) {
    const changed = Buffer.from(archive);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await assert.rejects(read(changed), StartError, String(at));
  }
  await assert.rejects(read(Buffer.concat([archive, Buffer.from("more")])), StartError);
  // Larger than octal digits can say; nothing of it need be there.
  const huge = await packTar([
    { name: "huge", size: 9 * 2 ** 30, time: 0, content: pieces(patterned(1)) },
  ]).next();
  for await (const { size } of unpackTar(pieces(huge.value as Uint8Array))) {
    assert.equal(size, 9 * 2 ** 30);
    break;
  }
});
