import type { IncomingMessage } from "node:http";
import { decodeLogKeyChange, Ed25519Public, encodeCbor, encodeLogKeyChange, labels } from "@snug/protocol";
import { decryptAge, encryptAge, generateBackupKey } from "../../packages/server/src/backup/age.ts";
import { packTar, unpackTar } from "../../packages/server/src/backup/tar.ts";
import { isVisibleName, parseVideoName } from "../../packages/server/src/library/names.ts";
import { Site } from "../../packages/server/src/site.ts";
import { bendBytes } from "./bending.ts";
import type { Chance } from "./chance.ts";
import { sent, type Target } from "./targets.ts";
import { hostileText } from "./values.ts";
import type { World } from "./world.ts";

const utf8 = new TextEncoder();
const lossy = new TextDecoder();

/** What the server alone reads: who asks, by which headers; names of files; backups; changes of its log key. */
export function serverTargets(world: World): readonly Target[] {
  return [visitorTarget(), nameTarget, ...backupTargets(), logKeyTarget(world)];
}

const values: readonly string[] = [
  ...["localhost", "localhost:8420", "127.0.0.1", "[::1]:1", "snug.example", "http://localhost", "null"],
  ...["203.0.113.7", "[2001:db8::7]:443", "10.1.2.3", "::ffff:10.0.0.1", "2001:db8::1%eth0", "https", "a, b"],
];
const headers: readonly string[] = [
  ...["host", "origin", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"],
];

/** Host, Origin and what proxies add, before anything else is looked at (P2, P3, P30). */
function visitorTarget(): Target {
  const site = new Site({ host: "0.0.0.0", name: "snug.example", trustProxy: ["10.0.0.0/8"] });
  return {
    name: "visitor",
    share: 40,
    make: (chance) => {
      const value = (): string => (chance.oneIn(4) ? hostileText(chance) : chance.pick(values));
      const list = (): string => Array.from({ length: 1 + chance.below(4) }, value).join(", ");
      const lines = headers.filter(() => chance.oneIn(2)).map((name) => `${name}\n${list()}`);
      // The peer's address is the kernel's word: nobody bends it.
      const peer = chance.pick(["10.0.0.1", "::ffff:10.9.9.9", "127.0.0.1", "203.0.113.9", "fe80::1%eth0"]);
      const bytes = utf8.encode(lines.join("\n"));
      return Buffer.concat([utf8.encode(`${peer}\n`), chance.oneIn(4) ? bendBytes(bytes, chance) : bytes]);
    },
    take: (bytes) => {
      const [peer = "", ...lines] = lossy.decode(bytes).split("\n");
      const named = lines.flatMap((name, at) => (at % 2 === 0 ? [[name, lines[at + 1] ?? ""]] : []));
      const headers = Object.fromEntries(named);
      const request = { url: "/", rawHeaders: named.flat(), headers, socket: { remoteAddress: peer } };
      const judged = site.judge(request as unknown as IncomingMessage);
      if (judged.ok && judged.visit.network !== null && !peer.startsWith(judged.visit.network)) {
        // What visitors are counted by is an address or its network, never what they wrote.
        if (!/^[0-9a-f.:]+(\/64)?$/.test(judged.visit.network))
          throw new Error("counted by what was written");
      }
      return judged;
    },
  };
}

const nameTarget: Target = {
  name: "name of a file",
  share: 20,
  make: (chance) => {
    const text = `${hostileText(chance)}${chance.pick(["", "/", "_240p", "_99999p", ".mp4", ".MKV"])}`;
    // No path of a file system is longer.
    return bendBytes(utf8.encode(text.repeat(1 + chance.below(3))), chance).subarray(0, 4096);
  },
  take: (bytes) => {
    const name = lossy.decode(bytes);
    const { title, height } = parseVideoName(name);
    if (title.length > 255 || height > 99_999) throw new Error("more than the protocol takes");
    if (isVisibleName(name) && /[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(title)) {
      throw new Error("a title that is not plain text");
    }
  },
};

/** Backups that somebody else keeps, and what is in them under the right key. */
function backupTargets(): readonly Target[] {
  const { identity, recipient } = generateBackupKey();
  const archive = (chance: Chance): Promise<Buffer> =>
    whole(
      packTar(
        ["version", "snug.db", "keys/log.pkcs8"].map((name) => {
          const content = chance.bytes(chance.below(700));
          return { name, size: content.length, time: 1, content: stream(content) };
        }),
      ),
    );
  const unpack = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const { size, content } of unpackTar(source)) {
      const { length } = await whole(content);
      if (length !== size) throw new Error(`a file of ${size} bytes with ${length}`);
    }
  };
  return [
    {
      name: "backup",
      share: 6,
      make: async (chance) => {
        const bytes = await whole(encryptAge(recipient, stream(await archive(chance))));
        return chance.oneIn(10) ? bytes : bendBytes(bytes, chance);
      },
      take: (bytes) => unpack(decryptAge(identity, stream(bytes))),
    },
    {
      name: "archive in a backup",
      share: 20,
      make: async (chance) => {
        const bytes = await archive(chance);
        if (chance.oneIn(3)) return bendBytes(bytes, chance);
        // A header of somebody who can count: its sum is right.
        const odd = ["-7", "+7", "0x7", "7 7", "77777777777", "", "\x80\xff", `${chance.below(8 ** 6)}`];
        bytes.write(chance.pick(odd).padEnd(12, "\0"), 124, "latin1");
        bytes.fill(" ", 148, 156);
        const sum = bytes.subarray(0, 512).reduce((one, other) => one + other, 0);
        bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
        return bytes;
      },
      take: (bytes) => unpack(stream(bytes)),
    },
  ];
}

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function whole(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}

function logKeyTarget({ room, logPublic, pool }: World): Target {
  const next = Ed25519Public.parse({ ...logPublic, x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
  const content = [labels.logKey, 1, room.server, 1, logPublic, next, 1];
  return {
    name: "log key change",
    share: 30,
    make: (chance) => {
      const signed = chance.oneIn(3) ? encodeCbor(content) : sent(content, chance, pool);
      const leaf = encodeLogKeyChange(signed, chance.bytes(64));
      return chance.oneIn(4) ? bendBytes(leaf, chance) : leaf;
    },
    take: decodeLogKeyChange,
  };
}
