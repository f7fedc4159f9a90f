import { z } from "zod";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { errorCodes, SnugError } from "./errors.ts";
import type { DeviceId, Incarnation, ServerId } from "./ids.ts";
import { labels } from "./labels.ts";
import {
  type EventName,
  type EventOf,
  events,
  operations,
  type RequestOf,
  type SocketOperation,
} from "./operations.ts";

const number = z.int().nonnegative().max(0xffff_ffff);
const requestFrame = z.strictObject({
  type: z.literal("request"),
  number,
  name: z.string().max(64),
  body: z.unknown(),
});
const serverFrame = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("response"), number, body: z.unknown() }),
  z.strictObject({
    type: z.literal("error"),
    number,
    code: z.enum(errorCodes),
    message: z.string().max(1000),
  }),
  z.strictObject({ type: z.literal("event"), name: z.string().max(64), body: z.unknown() }),
]);

/** A request as the server reads it: the body is parsed, the name is one of the table's. */
export type Request = {
  [N in SocketOperation]: { readonly number: number; readonly name: N; readonly body: RequestOf<N> };
}[SocketOperation];

/** An event as the client reads it. */
export type Event = { [N in EventName]: { readonly name: N; readonly body: EventOf<N> } }[EventName];

/** A frame from the server. A response's body is parsed by the caller, who knows what it asked. */
export type ServerFrame =
  | { readonly type: "response"; readonly number: number; readonly body: unknown }
  | { readonly type: "error"; readonly number: number; readonly error: SnugError }
  | { readonly type: "event"; readonly event: Event }
  | { readonly type: "unknown-event"; readonly name: string };

export function encodeRequest(request: Request): Uint8Array<ArrayBuffer> {
  return encodeCbor({ type: "request", ...request });
}

/** Throws SnugError `malformed`; `replyTo` is the request's number when that much could be read. */
export function decodeRequest(
  bytes: Uint8Array,
): Request | { readonly number: number; readonly error: SnugError } {
  const frame = requestFrame.safeParse(decodeCbor(bytes));
  if (!frame.success) throw new SnugError("malformed", "not a request frame", { cause: frame.error });
  const { number, name, body } = frame.data;
  const operation = Object.hasOwn(operations, name) ? operations[name as SocketOperation] : undefined;
  if (operation?.transport !== "socket") {
    return { number, error: new SnugError("malformed", "there is no operation of this name") };
  }
  const parsed = operation.request.safeParse(body);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join(".") ?? "";
    return {
      number,
      error: new SnugError("malformed", `${name}: the request is not of its form, at "${where}"`),
    };
  }
  return { number, name, body: parsed.data } as Request;
}

export function encodeResponse(number: number, body: unknown): Uint8Array<ArrayBuffer> {
  return encodeCbor({ type: "response", number, body });
}

export function encodeError(number: number, error: SnugError): Uint8Array<ArrayBuffer> {
  return encodeCbor({ type: "error", number, code: error.code, message: error.message.slice(0, 1000) });
}

export function encodeEvent<N extends EventName>(name: N, body: EventOf<N>): Uint8Array<ArrayBuffer> {
  return encodeCbor({ type: "event", name, body });
}

/** Throws SnugError `malformed`. Events of a newer server are named, not refused. */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame {
  const parsed = serverFrame.safeParse(decodeCbor(bytes));
  if (!parsed.success) throw new SnugError("malformed", "not a server frame", { cause: parsed.error });
  const frame = parsed.data;
  if (frame.type === "response") return { type: "response", number: frame.number, body: frame.body };
  if (frame.type === "error") {
    return { type: "error", number: frame.number, error: new SnugError(frame.code, frame.message) };
  }
  if (!Object.hasOwn(events, frame.name)) return { type: "unknown-event", name: frame.name };
  const name = frame.name as EventName;
  const body = events[name].safeParse(frame.body);
  if (!body.success)
    throw new SnugError("malformed", `event ${name} is not of its form`, { cause: body.error });
  return { type: "event", event: { name, body: body.data } as Event };
}

/** The bytes a device signs to sign in. */
export function signInBytes(of: {
  readonly server: ServerId;
  readonly incarnation: Incarnation;
  readonly nonce: Uint8Array;
  readonly device: DeviceId;
}): Uint8Array<ArrayBuffer> {
  return encodeCbor([labels.signIn, of.server, of.incarnation, of.nonce, of.device]);
}

/** Why a connection was closed (WebSocket close codes). A frame above `limits.frame` is closed as 1009 (RFC 6455). */
export const closeCodes = {
  goingAway: 1001,
  malformed: 4400,
  unauthenticated: 4401,
  signedOut: 4403,
  tooSlowToSignIn: 4408,
  replaced: 4409,
  readsTooSlowly: 4431,
} as const;
