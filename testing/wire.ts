import assert from "node:assert/strict";
import { once } from "node:events";
import { admitHash, admitOf } from "@snug/crypto/identity";
import { type CreatedAccount, createAccount, signSignIn } from "@snug/crypto/sealing";
import {
  type AccountId,
  closeCodes,
  decodeInviteLink,
  decodeServerFrame,
  type ErrorCode,
  type EventName,
  type EventOf,
  encodeRequest,
  type Incarnation,
  isPresent,
  MessageId,
  operations,
  protocolVersion,
  type Request,
  type RequestOf,
  type ResponseOf,
  randomId,
  type ServerFrame,
  type ServerId,
  SnugError,
  type SocketOperation,
  type StreamId,
  sha256,
  signInBytes,
  socketPath,
  subprotocol,
  takePresence,
  toBase64url,
} from "@snug/protocol";
import { WebSocket } from "ws";

/** Where a raw client finds its server. */
export interface WireServer {
  readonly localUrl: string;
  readonly serverId: ServerId;
  setupLink(): Promise<string | null>;
}

/** Frames of the protocol over one WebSocket, without any of the client's care: for tests that need the frames themselves. */
export class Wire implements AsyncDisposable {
  readonly socket: WebSocket;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  /** Who is here, as far as the server has told. */
  #present: Uint8Array = new Uint8Array();
  readonly #events: EventFrame[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #answers = new Map<number, (frame: ServerFrame) => void>();
  #number = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    // Why a connection broke does not matter to the tests: its end does.
    socket.on("error", () => socket.terminate());
    socket.on("message", (data) => this.#receive(decodeServerFrame(data as Buffer)));
    socket.on("close", (code) => this.#end(code));
  }

  /** Rejects when the upgrade is refused. `ca`: the authority (PEM) that an https address is judged by. */
  static async open(
    server: WireServer & { readonly ca?: string },
    headers: Record<string, string> = {},
  ): Promise<Wire> {
    const url = `${server.localUrl.replace(/^http/, "ws")}${socketPath}`;
    const trust = server.ca === undefined ? {} : { ca: server.ca };
    const socket = new WebSocket(url, subprotocol, { perMessageDeflate: false, headers, ...trust });
    const wire = new Wire(socket);
    await once(socket, "open");
    return wire;
  }

  /** Sends a request; resolves with the answer or rejects with the SnugError that came instead. */
  async request<N extends SocketOperation>(name: N, body: RequestOf<N>): Promise<ResponseOf<N>> {
    // What is sent over a closed connection goes nowhere, and nothing would say so.
    if (this.socket.readyState !== WebSocket.OPEN)
      throw new SnugError("unavailable", "closed before it was asked");
    const number = this.#number++;
    const answer = new Promise<ServerFrame>((resolve) => this.#answers.set(number, resolve));
    this.socket.send(encodeRequest({ number, name, body } as unknown as Request));
    const frame = await answer;
    if (frame.type === "error") throw frame.error;
    assert.equal(frame.type, "response");
    return operations[name].response.parse(frame.body) as ResponseOf<N>;
  }

  /** The next event of a name that has come or will come; each is given once. */
  async next<N extends EventName>(name: N): Promise<EventOf<N>> {
    for (;;) {
      const at = this.#events.findIndex((event) => event.name === name);
      const [found] = at < 0 ? [] : this.#events.splice(at, 1);
      if (found) return found.body as EventOf<N>;
      if (this.socket.readyState !== WebSocket.OPEN) throw new Error(`closed before an event ${name} came`);
      await new Promise<void>((resolve) => this.#listeners.add(resolve));
    }
  }

  /** Whether the account at this position of the directory is here, by all that has come. */
  shows(position: number): boolean {
    return isPresent(this.#present, position);
  }

  /** Events of a name that have come and were not taken. */
  waiting(name: EventName): number {
    return this.#events.filter((event) => event.name === name).length;
  }

  #receive(frame: ServerFrame): void {
    if (frame.type === "response" || frame.type === "error") {
      this.#answers.get(frame.number)?.(frame);
      this.#answers.delete(frame.number);
      return;
    }
    assert.equal(frame.type, "event");
    const { event } = frame;
    if (event.name === "presence") this.#present = takePresence(this.#present, event.body.runs);
    this.#events.push(event);
    this.#wake();
  }

  #end(code: number): void {
    const error = new SnugError("unavailable", `the connection closed (${code}) before the answer came`);
    for (const [number, answer] of this.#answers) answer({ type: "error", number, error });
    this.#answers.clear();
    this.#wake();
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

type EventFrame = Extract<ServerFrame, { type: "event" }>["event"];

/** A person with keys, joined, who connects as often as the test likes. */
export interface RawPerson {
  readonly created: CreatedAccount;
  readonly account: AccountId;
  readonly inbox: StreamId;
  readonly incarnation: Incarnation;
  connect(server?: WireServer): Promise<Wire & { readonly signedIn: ResponseOf<"sign-in"> }>;
}

const openInvites = new WeakMap<WireServer, RawInvite>();

/** Joins by the setup link when nobody rules yet, else by an invite that the first one left open. */
export async function joinRaw(server: WireServer, name: string): Promise<RawPerson> {
  const invite = openInvites.get(server);
  if (invite) return joinByInvite(server, name, invite);
  const link = await server.setupLink();
  assert.ok(link, "the server has an administrator whom this test does not know");
  const person = await joinByInvite(server, name, { secret: decodeInviteLink(link).secret, inviter: null });
  await using wire = await person.connect();
  openInvites.set(server, await inviteRaw(wire, person.account, 100));
  return person;
}

export interface RawInvite {
  readonly secret: Uint8Array;
  readonly inviter: AccountId | null;
}

/** A fresh invite of whoever the wire belongs to. */
export async function inviteRaw(
  wire: Wire,
  inviter: AccountId,
  uses = 1,
): Promise<RawInvite & { readonly inviter: AccountId }> {
  const secret = crypto.getRandomValues(new Uint8Array(16));
  await wire.request("invite-create", {
    hash: await admitHash(await admitOf(secret)),
    uses,
    lifetime: 3_600_000,
  });
  return { secret, inviter };
}

/** Joins by an invite. Rejects with the SnugError that the server answers. */
export async function joinByInvite(server: WireServer, name: string, invite: RawInvite): Promise<RawPerson> {
  const { secret, inviter } = invite;
  const created = await createAccount({
    server: server.serverId,
    display: name,
    invite: inviter === null ? null : { secret, inviter },
    now: Date.now(),
  });
  const { account, inbox, incarnation } = await postJoin(server, secret, created);
  return {
    created,
    account,
    inbox,
    incarnation,
    connect: (to = server) => signInRaw(to, created),
  };
}

export async function postJoin(
  server: WireServer,
  secret: Uint8Array,
  { genesis, recovery }: Pick<CreatedAccount, "genesis" | "recovery">,
): Promise<ResponseOf<"join">> {
  const answer = await post(server, operations.join.transport.path, {
    admit: toBase64url(await admitOf(secret)),
    genesis: toBase64url(genesis),
    recovery: toBase64url(recovery),
  });
  return operations.join.response.parse(answer);
}

/** POSTs JSON; the answer as JSON, or a rejection with the SnugError of its body. */
export async function post(
  server: WireServer,
  path: string,
  body: unknown,
  token?: string,
): Promise<unknown> {
  const answer = await fetch(`${server.localUrl}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  const json: unknown = await answer.json();
  if (answer.ok) return json;
  const { code, message } = json as { code: ErrorCode; message: string };
  throw new SnugError(code, message);
}

/** What signing in takes of a device. */
export interface RawDevice extends Pick<CreatedAccount, "account" | "device"> {
  readonly keys: Pick<CreatedAccount["keys"], "device">;
}

/** Signs in as a device of an account: its first one, or another whose keys the test holds. */
export async function signInRaw(
  server: WireServer,
  { account, device, keys }: RawDevice,
): Promise<Wire & { readonly signedIn: ResponseOf<"sign-in"> }> {
  for (;;) {
    const wire = await Wire.open(server);
    try {
      const { server: serverId, incarnation, nonce } = await wire.next("hello");
      const bytes = signInBytes({ server: serverId, incarnation, nonce, device });
      const signature = await signSignIn({ key: keys.device, bytes });
      const body = { version: protocolVersion, account, device, signature };
      return Object.assign(wire, { signedIn: await wire.request("sign-in", body) });
    } catch (cause) {
      await wire[Symbol.asyncDispose]();
      // On a busy machine this end may take more than the 5 s that it is given.
      if ((await wire.closed) !== closeCodes.tooSlowToSignIn) throw cause;
    }
  }
}

/** A submit of any bytes to a stream. */
export function letterTo(
  stream: StreamId,
  counter: number,
  sealed: Uint8Array<ArrayBuffer> = crypto.getRandomValues(new Uint8Array(100)),
): RequestOf<"submit"> {
  return {
    stream,
    kind: "letter",
    class: "durable",
    id: randomId(MessageId),
    counter,
    sealed,
    expires: null,
  };
}

/** Where a person's account stands among those of the directory, from 0. */
export async function positionOf(wire: Wire, { account }: Pick<RawPerson, "account">): Promise<number> {
  const accounts: string[] = [];
  for (let from = 0; ; ) {
    const { entries, size } = await wire.request("directory-read", { from });
    for (const { statement, inbox } of entries) if (inbox !== null) accounts.push(await sha256(statement));
    from += entries.length;
    if (from >= size) break;
  }
  assert.ok(accounts.includes(account), "nobody of the directory");
  return accounts.indexOf(account);
}

/** Waits until a person is seen to be here or away, and takes what was told of anybody until then. */
export async function sees(wire: Wire, person: Pick<RawPerson, "account">, here: boolean): Promise<void> {
  const position = await positionOf(wire, person);
  while (wire.shows(position) !== here || wire.waiting("presence") > 0) await wire.next("presence");
}
