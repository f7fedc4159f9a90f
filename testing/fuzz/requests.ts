import { operations, socketPath } from "@snug/protocol";
import { bendBytes } from "./bending.ts";
import type { Chance } from "./chance.ts";
import { jsonOf } from "./json.ts";
import { bent, hostileText, type Pool, type Schema, validValue } from "./values.ts";

/** What requests may truly name on a running server. */
export interface Door {
  readonly pool: Pool;
  /** `localhost:port` */
  readonly host: string;
  /** A bearer token, and a cookie as a browser sends it. */
  readonly token: string;
  readonly cookie: string;
  /** Paths that exist: pages, assets, a title's files. */
  readonly paths: readonly string[];
}

/** Bytes of one request; `whole` when HTTP allows nothing but an answer to it. */
export interface RawRequest {
  readonly bytes: Uint8Array;
  readonly whole: boolean;
}

const utf8 = new TextEncoder();
const http = Object.values(operations).flatMap(({ transport, request }) =>
  transport === "socket" ? [] : [{ ...transport, request: request as Schema }],
);

/** A request to one of the server's routes: right, bent in one place, or with bytes changed. */
export function httpRequest(chance: Chance, door: Door): RawRequest {
  const { method, path, body } = target(chance, door);
  const lines = [
    `${chance.oneIn(20) ? token(chance) : method} ${path} HTTP/1.1`,
    `Host: ${chance.oneIn(20) ? oneLine(chance) : door.host}`,
    "Connection: close",
    ...credentials(chance, door),
    ...extras(chance),
  ];
  if (body !== null) {
    const type = chance.oneIn(10) ? oneLine(chance) : "application/json";
    lines.push(`Content-Type: ${type}`, ...framing(body, chance));
  }
  const head = utf8.encode(`${lines.join("\r\n")}\r\n\r\n`);
  const bytes = body === null ? head : new Uint8Array([...head, ...body]);
  if (!chance.oneIn(3)) return { bytes, whole: isPlain(lines, body) };
  return { bytes: bendBytes(bytes, chance), whole: false };
}

/** Whether nothing in the head is of the hostile kind that lets a parser wait for more. */
function isPlain(lines: readonly string[], body: Uint8Array | null): boolean {
  const length = lines.find((line) => line.startsWith("Content-Length:"));
  const right = body === null ? length === undefined : length === `Content-Length: ${body.length}`;
  return (
    right &&
    /^(GET|POST) \//.test(lines[0] ?? "") &&
    !lines.some((line) => /^(Transfer|Expect|Upgrade)/.test(line))
  );
}

function target(
  chance: Chance,
  door: Door,
): { readonly method: string; readonly path: string; readonly body: Uint8Array | null } {
  const query = chance.oneIn(8) ? `?${encodeURIComponent(hostileWell(chance))}` : "";
  if (chance.oneIn(3)) {
    const path = chance.pick(door.paths);
    return { method: "GET", path: pathBent(path, chance) + query, body: null };
  }
  const { method, path, request } = chance.pick(http);
  const value = validValue(request, chance, door.pool);
  const filled = path.replace(/:(\w+)/g, () => encodeURIComponent(String(chance.pick(door.pool.texts))));
  const body = method === "GET" ? null : jsonOf(chance.oneIn(3) ? value : bent(value, chance), chance);
  return { method, path: pathBent(filled, chance) + query, body };
}

function hostileWell(chance: Chance): string {
  return hostileText(chance).toWellFormed().slice(0, 2000);
}

function pathBent(path: string, chance: Chance): string {
  if (!chance.oneIn(3)) return path;
  const parts = path.split("/");
  const at = 1 + chance.below(parts.length);
  const odd = ["..", "%2e%2e", ".", "", "%00", "%c0%af", "%zz", "a".repeat(20_000), "%25", ";", "\\"];
  parts.splice(
    at,
    chance.below(2),
    chance.oneIn(2) ? chance.pick(odd) : encodeURIComponent(hostileWell(chance)),
  );
  return parts.join("/").replace(/[ \r\n]/g, "%20") || "/";
}

/** Hostile text as far as it can stand in one header line. */
function oneLine(chance: Chance): string {
  return Buffer.from(hostileWell(chance).replace(/[\r\n\0]/g, " ")).toString("latin1");
}

function token(chance: Chance): string {
  return chance.pick([
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "HEAD",
    "PROPFIND",
    "get",
    "G\x00T",
    "PRI",
  ]);
}

function credentials(chance: Chance, door: Door): string[] {
  switch (chance.below(6)) {
    case 0:
      return [`Authorization: Bearer ${door.token}`];
    case 1:
      return [`Cookie: ${door.cookie}`];
    case 2:
      return [`Authorization: ${chance.pick(["Bearer ", "Basic ", ""])}${oneLine(chance)}`];
    case 3:
      return [`Cookie: ${oneLine(chance)}; ${door.cookie.split("=")[0]}=${oneLine(chance)}`];
    default:
      return [];
  }
}

function extras(chance: Chance): string[] {
  switch (chance.below(12)) {
    case 0:
      return [
        `${chance.pick(["Origin", "Referer", "X-Forwarded-Host", "X-Forwarded-For", "Via"])}: ${oneLine(chance)}`,
      ];
    case 1:
      return [`${chance.pick(["Accept-Encoding", "If-None-Match", "Range", "Accept"])}: ${oneLine(chance)}`];
    case 2:
      return Array.from({ length: chance.below(120) }, (_, at) =>
        `X-${at}: ${oneLine(chance)}`.slice(0, 300),
      );
    case 3:
      return [
        ...["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
        `Sec-WebSocket-Protocol: ${chance.oneIn(2) ? "snug.1" : oneLine(chance)}`,
      ];
    case 4:
      return [`Expect: ${chance.oneIn(2) ? "100-continue" : oneLine(chance)}`];
    default:
      return [];
  }
}

function framing(body: Uint8Array, chance: Chance): string[] {
  switch (chance.below(14)) {
    case 0:
      return ["Transfer-Encoding: chunked"];
    case 1:
      return [`Content-Length: ${chance.pick([0, 1, -1, body.length + 5, 65_537, 2 ** 53])}`];
    case 2:
      return [`Content-Length: ${body.length}`, `Content-Length: ${body.length + 1}`];
    default:
      return [`Content-Length: ${body.length}`];
  }
}

/** Every page and route that there is besides the table's operations. */
export const ownPaths: readonly string[] = [
  ...["/", "/join", "/chats", "/watch", "/people", "/settings", "/authority.crt", socketPath],
  ...["/assets/", "/index.html", "/favicon.ico", "/m/", "/api/", "/m/me/"],
];
