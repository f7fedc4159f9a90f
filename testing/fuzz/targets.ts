import { NetworkError, type Platform } from "@snug/client";
import { applyStatement, normalizeName, openCheckpoint } from "@snug/crypto/identity";
import { openLetter, parseRecoveryCode } from "@snug/crypto/sealing";
import {
  decodeIndex,
  initSegment,
  MediaError,
  masterPlaylist,
  mediaPlaylist,
  mediaSegment,
  memorySource,
  planTitle,
  readIndex,
} from "@snug/media";
import {
  checkRow,
  decodeInviteLink,
  decodeLetterPayload,
  decodeRecoveryContent,
  decodeRequest,
  decodeServerFrame,
  decodeStatement,
  decodeWrappedKeys,
  encodeCbor,
  encodeRequest,
  encodeStatement,
  errorCodes,
  events,
  fromBase64url,
  letterBuckets,
  operations,
  SnugError,
  toBase64url,
} from "@snug/protocol";
import { harmless, harmlessLine } from "../../packages/cli/src/output.ts";
import { callHttp, type HttpOperation } from "../../packages/client/src/http.ts";
import { StartError } from "../../packages/server/src/startError.ts";
import { bendBytes, encodeLoosely } from "./bending.ts";
import type { Chance } from "./chance.ts";
import { jsonOf } from "./json.ts";
import { sealAnything } from "./seals.ts";
import { bent, hostileText, marker, type Pool, type Schema, validValue } from "./values.ts";
import type { World } from "./world.ts";

/** One thing that takes bytes from outside. */
export interface Target {
  readonly name: string;
  /** How many of a thousand cases, about. */
  readonly share: number;
  make(chance: Chance): Uint8Array | Promise<Uint8Array>;
  /** Gives what it makes of the bytes, or refuses them with an error of its contract; anything else is a finding. */
  take(bytes: Uint8Array): unknown;
}

const utf8 = new TextEncoder();
const lossy = new TextDecoder();

/** Everything in this process that reads bytes of somebody else. */
export function targetsOf(world: World): readonly Target[] {
  return [
    ...frameTargets(world),
    ...statementTargets(world),
    ...letterTargets(world),
    ...textTargets(world),
    ...answerTargets(world),
    ...mediaTargets(world),
  ];
}

/** Whether an error is a refusal as the contract has it: a code of the list but `internal`, a short message, nothing repeated. */
export function isRefusal(error: unknown): boolean {
  const known = [MediaError, NetworkError, StartError].some((kind) => error instanceof kind);
  if (known) return !(error as Error).message.includes(marker);
  if (!(error instanceof SnugError)) return false;
  const { code, message } = error;
  return (
    errorCodes.includes(code) && code !== "internal" && message.length <= 300 && !message.includes(marker)
  );
}

/** A value on its way: mostly as it is or bent in one place, sometimes spelt otherwise, sometimes with bytes changed. */
export function sent(value: unknown, chance: Chance, pool: Pool): Uint8Array {
  const made = chance.oneIn(4) ? value : bent(value, chance);
  const bytes = chance.oneIn(3)
    ? encodeLoosely(made, chance, chance.pick([6, 30, 1000]))
    : encoded(made, chance);
  return chance.oneIn(3) ? bendBytes(bytes, chance, chance.pick(pool.bytes)) : bytes;
}

function encoded(value: unknown, chance: Chance): Uint8Array {
  try {
    return encodeCbor(value);
  } catch {
    // What the strict encoder refuses to write, somebody else writes.
    return encodeLoosely(value, chance, 1e9);
  }
}

const socketOperations = Object.entries(operations).filter(([, { transport }]) => transport === "socket");

/** A request frame that a device might send. */
export function requestOf(chance: Chance, pool: Pool): Record<string, unknown> {
  const [name, { request }] = chance.pick(socketOperations);
  return { type: "request", number: chance.below(1000), name, body: validValue(request, chance, pool) };
}

function frameTargets(world: World): Target[] {
  const { pool } = world;
  return [
    {
      name: "request frame",
      share: 220,
      make: (chance) => sent(requestOf(chance, pool), chance, pool),
      take: (bytes) => {
        const request = decodeRequest(bytes);
        if ("error" in request) throw request.error;
        const again = encodeRequest(request);
        if (compare(encodeCbor(decodeRequest(again)), encodeCbor(request)) !== 0) {
          throw new Error("a request that reads otherwise when it is written again");
        }
        return request;
      },
    },
    {
      name: "server frame",
      share: 200,
      make: (chance) => sent(serverFrame(chance, pool), chance, pool),
      take: takeServerFrame,
    },
  ];
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** What a server might send; the number of an answer says what was asked. */
export function serverFrame(chance: Chance, pool: Pool): unknown {
  const number = chance.below(socketOperations.length);
  switch (chance.below(5)) {
    case 0:
      return {
        type: "error",
        number,
        code: chance.pick(errorCodes),
        message: hostileText(chance).slice(0, 1100),
      };
    case 1:
    case 2: {
      const [, operation] = socketOperations[number] ?? chance.pick(socketOperations);
      return { type: "response", number, body: validValue(operation.response, chance, pool) };
    }
    default: {
      const [name, body] = chance.pick(Object.entries<Schema>(events));
      return { type: "event", name, body: validValue(body, chance, pool) };
    }
  }
}

async function takeServerFrame(bytes: Uint8Array): Promise<unknown> {
  const frame = decodeServerFrame(bytes);
  if (frame.type === "response") {
    const asked = socketOperations[frame.number % socketOperations.length]?.[1];
    return asked?.response.safeParse(frame.body).success;
  }
  if (frame.type !== "event" || frame.event.name !== "rows") return frame;
  const [first] = frame.event.body.rows;
  return first && (await checkRow(first));
}

function statementTargets(world: World): Target[] {
  const { statements, next, room, recoveryKey, pool } = world;
  return [
    {
      name: "statement",
      share: 130,
      make: (chance) =>
        chance.oneIn(2)
          ? bendBytes(chance.pick(statements), chance, chance.pick(statements))
          : encodeStatement(sent(chance.pick(next), chance, pool), chance.bytes(64)),
      take: decodeStatement,
    },
    {
      name: "signed statement",
      share: 6,
      make: async (chance) => {
        const signed = sent(chance.pick(next), chance, pool) as Uint8Array<ArrayBuffer>;
        const signature = await crypto.subtle.sign("Ed25519", recoveryKey, signed);
        return encodeStatement(signed, new Uint8Array(signature));
      },
      take: async (bytes) => (await applyStatement(room.directory, bytes)).kind,
    },
  ];
}

function letterTargets(world: World): Target[] {
  const { letter, opener, payload, sealed, letterKeys } = world;
  const take = (bytes: Uint8Array): unknown => openLetter(bytes, { ...opener, row: letter.row });
  const padded = (chance: Chance): Uint8Array => {
    const json = jsonOf(chance.oneIn(6) ? payload : bent(payload, chance), chance);
    const bucket = letterBuckets.find((size) => size >= json.length) ?? json.length;
    const bytes = new Uint8Array(bucket).fill(0x20);
    bytes.set(json);
    return bytes;
  };
  return [
    {
      name: "letter payload",
      share: 120,
      make: (chance) => (chance.oneIn(4) ? bendBytes(padded(chance), chance) : padded(chance)),
      take: decodeLetterPayload,
    },
    {
      name: "sealed letter",
      share: 8,
      make: (chance) => (chance.oneIn(3) ? bentHeader(sealed, chance) : bendBytes(sealed, chance)),
      take,
    },
    {
      name: "letter under right seals",
      share: 1,
      make: (chance) => sealAnything(letterKeys, padded(chance), chance),
      take,
    },
  ];
}

function bentHeader(compact: Uint8Array, chance: Chance): Uint8Array {
  const [header = "", ...rest] = lossy.decode(compact).split(".");
  const value = JSON.parse(lossy.decode(fromBase64url(header))) as unknown;
  return utf8.encode([toBase64url(jsonOf(bent(value, chance), chance)), ...rest].join("."));
}

function textTargets(world: World): Target[] {
  const { checkpoint, logPublic, room, link, blobs, recoveryCode } = world;
  const text = (of: readonly string[], chance: Chance): Uint8Array => {
    if (chance.oneIn(5)) return utf8.encode(hostileText(chance));
    const right = utf8.encode(chance.pick(of));
    return chance.oneIn(10) ? right : bendBytes(right, chance);
  };
  return [
    {
      name: "checkpoint",
      share: 50,
      make: (chance) => text([checkpoint], chance),
      take: (bytes) => openCheckpoint(lossy.decode(bytes), { server: room.server, logPublic }),
    },
    {
      name: "invite link",
      share: 60,
      make: (chance) => {
        if (chance.oneIn(2)) return text([link], chance);
        const [origin, fragment = ""] = link.split("#");
        return utf8.encode(`${origin}#${toBase64url(bendBytes(fromBase64url(fragment), chance))}`);
      },
      take: (bytes) => decodeInviteLink(lossy.decode(bytes)),
    },
    {
      name: "recovery blob",
      share: 20,
      make: (chance) => bendBytes(chance.pick(blobs), chance),
      take: (bytes) => (bytes.length % 2 === 0 ? decodeWrappedKeys(bytes) : decodeRecoveryContent(bytes)),
    },
    {
      name: "name",
      share: 40,
      make: (chance) =>
        text(["Alice", "\u0130stanbul", "\u5f20\u4e09", "e\u0301e\u0301", "\u1e9e\ufdfa"], chance),
      take: (bytes) => {
        const { name } = normalizeName(lossy.decode(bytes));
        if (normalizeName(name).name !== name) throw new Error("a normal form with another normal form");
      },
    },
    {
      name: "recovery code",
      share: 10,
      make: (chance) => text([recoveryCode], chance),
      take: (bytes) => parseRecoveryCode(lossy.decode(bytes)),
    },
    {
      name: "text for a terminal",
      share: 20,
      make: (chance) => text(["a letter\r\nof two lines", "\x1b]0;title\x07\x9b2J"], chance),
      take: (bytes) => {
        const shown = harmless(lossy.decode(bytes));
        const line = harmlessLine(lossy.decode(bytes));
        if (/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(shown) || /[\n\t]/.test(line)) {
          throw new Error("a terminal would obey this");
        }
      },
    },
  ];
}

const httpOperations = Object.entries(operations)
  .filter(([, { transport }]) => transport !== "socket")
  .map(([name, operation]) => ({ name: name as HttpOperation, ...operation }));

function answerTargets({ pool }: World): Target[] {
  return [
    {
      name: "HTTP answer",
      share: 60,
      // Its first byte says which operation was asked, its second the status.
      make: (chance) => {
        const at = chance.below(httpOperations.length);
        const operation = httpOperations[at] ?? chance.pick(httpOperations);
        const refusal = { code: chance.pick(errorCodes), message: hostileText(chance) };
        const value = chance.oneIn(5) ? refusal : validValue(operation.response, chance, pool);
        const json = jsonOf(chance.oneIn(4) ? value : bent(value, chance), chance);
        return Uint8Array.from([at, chance.pick([200, 200, 201, 204, 0, 101, 255]), ...json]);
      },
      take: takeAnswer,
    },
    {
      name: "HTTP body",
      share: 50,
      make: (chance) => {
        const at = chance.below(httpOperations.length);
        const value = validValue((httpOperations[at] ?? chance.pick(httpOperations)).request, chance, pool);
        return Uint8Array.from([at, ...jsonOf(bent(value, chance), chance)]);
      },
      take: (bytes) => {
        const operation = httpOperations[bytes[0] ?? 0];
        return operation?.request.safeParse(parsed(bytes.subarray(1))).success;
      },
    },
  ];
}

/** Goes the client's own way from an answer's bytes. */
async function takeAnswer(bytes: Uint8Array): Promise<unknown> {
  const { name } = httpOperations[bytes[0] ?? 0] ?? {};
  const answer = { status: bytes[1] ?? 0, body: parsed(bytes.subarray(2)) };
  const platform = {
    fetch: async () => answer,
    // "Too many" is waited out; here no time passes.
    after: (_ms: number, call: () => void) => {
      queueMicrotask(call);
      return () => undefined;
    },
  } as unknown as Platform;
  const address = { origin: "http://localhost", authority: null };
  const request = { admit: "AA", genesis: "AA", recovery: "AA", title: "AA" } as never;
  try {
    return name && (await callHttp({ platform, address }, name, request));
  } catch (error) {
    // The server's own words, which a client shows as text: only their length is bounded.
    if (error instanceof SnugError && error.message.length <= 1000) return error.code;
    throw error;
  }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(lossy.decode(bytes));
  } catch {
    return null;
  }
}

function mediaTargets({ film, index }: World): Target[] {
  const moov = indexOf(film, "moov");
  return [
    {
      name: "kept index",
      share: 20,
      make: (chance) => bendBytes(index, chance),
      take: (bytes) => playlists(planTitle([{ fileId: "file", index: decodeIndex(bytes) }])),
    },
    {
      name: "film",
      share: 3,
      make: (chance) => {
        const made = film.slice();
        for (let times = 1 + chance.below(4); times > 0; times--) {
          const at = moov + chance.below(20_000);
          made.set(
            chance.pick([[0], [0xff], [0xff, 0xff, 0xff, 0xff], [0x7f, 0xff], [chance.below(256)]]),
            at,
          );
        }
        return chance.oneIn(8) ? made.subarray(0, chance.below(made.length)) : made;
      },
      take: async (bytes) => {
        const source = memorySource(bytes);
        const plan = planTitle([{ fileId: "file", index: await readIndex(source) }]);
        playlists(plan);
        for (const { id } of plan.renditions) {
          initSegment(plan, id);
          for await (const piece of mediaSegment(plan, id, 0, source)) piece.length;
        }
      },
    },
  ];
}

function playlists(plan: ReturnType<typeof planTitle>): void {
  masterPlaylist(plan);
  for (const { id } of plan.renditions) mediaPlaylist(plan, id);
}

function indexOf(film: Uint8Array, type: string): number {
  return Math.max(0, Buffer.from(film.buffer, film.byteOffset, film.length).indexOf(type));
}
