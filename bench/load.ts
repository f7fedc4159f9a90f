/**
 * The load: a process of its own, on the other core. Joins people, pairs them up and keeps letters of 1 KiB in flight.
 * Sealed bytes are random: the server can't tell, and sealing is not what is measured here.
 * argv: JSON of {@link LoadOrder}; answers one JSON {@link LoadResult} line on stdout.
 */
import { once } from "node:events";
import {
  decodeCbor,
  encodeRequest,
  MessageId,
  type Request,
  randomId,
  type ServerId,
  type StreamId,
} from "@snug/protocol";
import { WebSocket } from "ws";
import { joinRaw, letterTo, type RawPerson, type Wire } from "../testing/wire.ts";
import { median, quantile } from "./floors.ts";

export interface LoadOrder {
  readonly kind: "relay" | "snug";
  /** Plain origin to join by; the socket of the load goes to `socketUrl` when given (wss). */
  readonly localUrl: string;
  readonly serverId: string;
  readonly setupLink: string;
  readonly pairs: number;
  /** Letters in flight of each sender, by phase. */
  readonly phases: readonly { readonly name: string; readonly inFlight: number; readonly seconds: number }[];
}

export interface PhaseResult {
  readonly name: string;
  readonly acceptedPerSecond: number;
  readonly deliveredPerSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** One sender: how it sends the next 1 KiB, and when it was acknowledged. */
interface Sender {
  send(): void;
  onAck: (took: number) => void;
}

const order = JSON.parse(process.argv[2] ?? "{}") as LoadOrder;
let delivered = 0;

async function snugSenders(): Promise<Sender[]> {
  const server = {
    localUrl: order.localUrl,
    serverId: order.serverId as ServerId,
    setupLink: async () => order.setupLink,
  };
  const people: RawPerson[] = [];
  for (let n = 0; n < order.pairs * 2; n++) people.push(await joinRaw(server, `load-${n}`));
  const wires = await Promise.all(people.map((person) => person.connect(server)));
  const senders: Sender[] = [];
  for (let n = 0; n < order.pairs; n++) {
    const [from, to] = [wires[2 * n], wires[2 * n + 1]];
    const person = people[2 * n + 1];
    if (!from || !to || !person) throw new Error("nobody there");
    await to.request("stream-read", { stream: person.inbox, incarnation: person.incarnation, after: 0 });
    receive(to, person);
    senders.push(submitter(from, person.inbox));
  }
  return senders;
}

/** Counts rows and moves the cursor, as a client does once it has stored them. */
function receive(wire: Wire, person: RawPerson): void {
  let number = 1_000_000;
  wire.socket.removeAllListeners("message");
  wire.socket.on("message", (data) => {
    const frame = decodeCbor(data as Buffer) as { name?: string; body: { rows: { seq: number }[] } };
    if (frame.name !== "rows") return;
    delivered += frame.body.rows.length;
    const seq = frame.body.rows.at(-1)?.seq ?? 0;
    const body = { stream: person.inbox, incarnation: person.incarnation, seq };
    wire.socket.send(encodeRequest({ number: number++, name: "stream-cursor", body } as Request));
  });
}

function submitter(wire: Wire, stream: StreamId): Sender {
  const started = new Map<number, number>();
  const payload = crypto.getRandomValues(new Uint8Array(1024));
  let counter = 0;
  const sender: Sender = {
    send() {
      counter++;
      started.set(counter, performance.now());
      const body = { ...letterTo(stream, counter, payload), id: randomId(MessageId) };
      wire.socket.send(encodeRequest({ number: counter, name: "submit", body }));
    },
    onAck: () => undefined,
  };
  wire.socket.removeAllListeners("message");
  wire.socket.on("message", (data) => {
    const frame = decodeCbor(data as Buffer) as {
      type: string;
      number: number;
      code?: string;
      message?: string;
    };
    if (frame.type === "error") throw new Error(`${frame.code}: ${frame.message}`);
    if (frame.type !== "response") return;
    const start = started.get(frame.number) ?? 0;
    started.delete(frame.number);
    sender.onAck(performance.now() - start);
  });
  return sender;
}

async function relaySenders(): Promise<Sender[]> {
  const sockets: WebSocket[] = [];
  for (let n = 0; n < order.pairs * 2; n++) {
    const socket = new WebSocket(order.localUrl, { perMessageDeflate: false });
    await once(socket, "open");
    sockets.push(socket);
  }
  return sockets
    .filter((_, n) => n % 2 === 0)
    .map((socket, pair) => {
      const started = new Map<number, number>();
      let number = 0;
      const sender: Sender = {
        send() {
          const bytes = Buffer.allocUnsafe(6 + 1024);
          bytes.writeUInt16BE(2 * pair + 1, 0);
          bytes.writeUInt32BE(++number, 2);
          started.set(number, performance.now());
          socket.send(bytes);
        },
        onAck: () => undefined,
      };
      socket.on("message", (data: Buffer) => {
        const acked = data.readUInt32BE(0);
        const start = started.get(acked) ?? 0;
        started.delete(acked);
        sender.onAck(performance.now() - start);
      });
      sockets[2 * pair + 1]?.on("message", () => {
        delivered++;
      });
      return sender;
    });
}

async function phase(senders: readonly Sender[], of: LoadOrder["phases"][number]): Promise<PhaseResult> {
  const took: number[] = [];
  const perSecond: number[] = [];
  const deliveredBefore = delivered;
  let running = true;
  const idle = Promise.withResolvers<void>();
  let inFlight = 0;
  const next = (sender: Sender) => {
    inFlight++;
    sender.send();
  };
  for (const sender of senders) {
    sender.onAck = (ms) => {
      took.push(ms);
      inFlight--;
      if (running) next(sender);
      else if (inFlight === 0) idle.resolve();
    };
  }
  const active = of.inFlight === 1 ? senders.slice(0, 1) : senders;
  for (const sender of active) for (let n = 0; n < of.inFlight; n++) next(sender);
  const start = performance.now();
  for (let second = 0; second < of.seconds; second++) {
    const before = took.length;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    perSecond.push(took.length - before);
  }
  running = false;
  await idle.promise;
  const seconds = (performance.now() - start) / 1000;
  return {
    name: of.name,
    acceptedPerSecond: Math.round(median(perSecond)),
    deliveredPerSecond: Math.round((delivered - deliveredBefore) / seconds),
    p50: quantile(took, 0.5),
    p99: quantile(took, 0.99),
  };
}

const senders = order.kind === "snug" ? await snugSenders() : await relaySenders();
const results: PhaseResult[] = [];
for (const one of order.phases) results.push(await phase(senders, one));
process.stdout.write(`${JSON.stringify(results)}\n`);
process.exit(0);
