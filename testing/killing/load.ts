/**
 * The load on a server that is killed: a process of its own, in which three people without any client's care keep many
 * submits in flight to each other and read their inboxes. Takes {@link LoadOrder}s, says {@link LoadWord}s.
 */
import { checkRow, decodeInviteLink, firstPrevious, type Row, ServerId, type StreamId } from "@snug/protocol";
import { Submitter } from "../submitter.ts";
import { joinByInvite, type RawPerson, type Wire, type WireServer } from "../wire.ts";
import type { Findings } from "./findings.ts";
import type { LoadOrder, LoadWord } from "./orders.ts";

/** Submits in flight of each person to each of the others, and how large they are. */
const flow = { window: 48, bytes: 100 };

/** One person: writes to the others, reads what they write. */
class Member {
  readonly person: RawPerson;
  readonly submitters: Submitter[] = [];
  readonly faults: string[] = [];
  #wire: Wire | null = null;
  #read = 0;

  constructor(person: RawPerson) {
    this.person = person;
  }

  async connect(server: WireServer): Promise<void> {
    const wire = await this.person.connect(server);
    this.#wire = wire;
    this.#readOn(wire).catch((error: unknown) => {
      if (wire.socket.readyState === wire.socket.OPEN) this.faults.push(String(error));
    });
    for (const submitter of this.submitters) submitter.connect(wire);
  }

  /** Resolves with how many submits were unanswered when the connection broke. */
  async cut(): Promise<number> {
    await this.#wire?.closed;
    const inFlight = this.submitters.reduce((sum, submitter) => sum + submitter.inFlight, 0);
    for (const submitter of this.submitters) submitter.disconnect();
    return inFlight;
  }

  async #readOn(wire: Wire): Promise<void> {
    const { inbox: stream, incarnation } = this.person;
    await wire.request("stream-read", { stream, incarnation, after: this.#read });
    for (;;) {
      // At first as well, as a client does: what the server knew of it may have gone with its last quarter of a second.
      // Not waited for: more rows come meanwhile. A connection that ends here is told to the reader above.
      wire.request("stream-cursor", { stream, incarnation, seq: this.#read }).catch(() => undefined);
      const { rows } = await wire.next("rows");
      for (const { seq } of rows) {
        if (seq !== this.#read + 1) this.faults.push(`row ${seq} was pushed behind row ${this.#read}`);
        this.#read = seq;
      }
    }
  }

  /** Everything in the inbox, in order, over a connection of its own. */
  async readBack(server: WireServer): Promise<Row[]> {
    await using wire = await this.person.connect(server);
    const { inbox: stream, incarnation } = this.person;
    const { head } = await wire.request("stream-read", { stream, incarnation, after: 0 });
    const rows: Row[] = [];
    while (rows.length < head) rows.push(...(await wire.next("rows")).rows);
    return rows;
  }
}

const members: Member[] = [];
let server: WireServer;
let victim: Extract<LoadOrder, { order: "kill" }> | null = null;
let counted = 0;
let ready = false;
let cut = false;

function say(word: LoadWord): void {
  // Nobody listens: so this process ends in a moment.
  process.send?.(word, () => undefined);
}

function onAcknowledged(): void {
  if (cut) {
    cut = false;
    say({ word: "accepted", at: Date.now() });
  }
  counted++;
  if (!victim || counted < victim.acknowledgements) return;
  if (counted === victim.acknowledgements) {
    setImmediate(() => {
      ready = true;
    });
  }
  if (!ready) return;
  // The first one that has come since: when the server says too early that something is stored, it is just about to be.
  ready = false;
  process.kill(victim.pid, "SIGKILL");
  victim = null;
  say({ word: "killed", at: Date.now() });
}

async function begin({ place, link }: Extract<LoadOrder, { order: "begin" }>): Promise<void> {
  server = { ...place, serverId: ServerId.parse(place.serverId), setupLink: async () => null };
  const invite = decodeInviteLink(link);
  for (const name of ["Rita", "Ron", "Rose"])
    members.push(new Member(await joinByInvite(server, name, invite)));
  for (const { person, submitters } of members) {
    for (const { person: other } of members) {
      if (other === person) continue;
      const submitter = new Submitter(other.inbox, flow);
      submitter.onAcknowledged = onAcknowledged;
      submitter.write(Number.POSITIVE_INFINITY);
      submitters.push(submitter);
    }
  }
  await connect();
  say({ word: "begun" });
}

async function connect(): Promise<void> {
  await Promise.all(members.map((member) => member.connect(server)));
  Promise.all(members.map((member) => member.cut())).then((counts) => {
    cut = true;
    say({ word: "cut", inFlight: counts.reduce((sum, count) => sum + count, 0) });
  }, fail);
}

async function end(): Promise<void> {
  const submitters = members.flatMap((member) => member.submitters);
  await Promise.all(submitters.map((submitter) => submitter.end()));
  const findings: Mutable<Findings> = { acknowledged: 0, lost: [], twice: [], outOfOrder: [], faults: [] };
  for (const member of members) {
    const { inbox } = member.person;
    await compare(
      await member.readBack(server),
      submitters.filter(({ stream }) => stream === inbox),
      { inbox, findings },
    );
    findings.faults.push(...member.faults);
  }
  say({ word: "ended", findings });
}

/** Each acknowledged row is there, once, where and as it was acknowledged, behind its sender's earlier ones. */
async function compare(
  rows: readonly Row[],
  submitters: readonly Submitter[],
  into: { readonly inbox: StreamId; readonly findings: Mutable<Findings> },
): Promise<void> {
  const { findings } = into;
  const places = new Map<string, number>();
  const counters = new Map<string, number>();
  let previous: string = firstPrevious;
  for (const [at, row] of rows.entries()) {
    const key = `${row.device} ${row.id}`;
    if (row.seq !== at + 1 || row.previous !== previous || !(await checkRow(row))) {
      findings.faults.push(`row ${row.seq} does not continue the stream`);
    }
    if (places.has(row.id)) findings.twice.push(key);
    if (row.counter !== (counters.get(row.device) ?? 0) + 1) findings.outOfOrder.push(key);
    places.set(row.id, at);
    counters.set(row.device, row.counter);
    previous = row.rowHash;
  }
  for (const { acknowledged } of submitters) {
    findings.acknowledged += acknowledged.size;
    for (const [id, { counter, seq, rowHash }] of acknowledged) {
      const row = rows[places.get(id) ?? -1];
      const same = row?.seq === seq && row.rowHash === rowHash && row.counter === counter;
      if (!same) findings.lost.push(`row ${seq} of ${into.inbox}`);
    }
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly string[] ? string[] : T[K] };

function fail(error: unknown): void {
  process.stderr.write(`the load failed: ${error instanceof Error ? error.stack : error}\n`);
  process.exit(1);
}

process.on("message", (message) => {
  const order = message as LoadOrder;
  if (order.order === "begin") begin(order).catch(fail);
  else if (order.order === "kill") {
    victim = order;
    counted = 0;
  } else if (order.order === "again") connect().catch(fail);
  else end().catch(fail);
});
// Whoever gave the orders is gone.
process.on("disconnect", () => process.exit());
