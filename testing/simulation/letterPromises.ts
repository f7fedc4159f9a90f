import type { Client, Letter } from "@snug/client";
import { type AccountId, decodeCbor, type MessageId } from "@snug/protocol";
import type { Device, Person } from "./device.ts";
import type { ServerPromises } from "./serverPromises.ts";

type Change = { readonly table: string; readonly key: string; readonly value: Uint8Array | null };

/** A letter that somebody asked their client to send. */
export interface Sent {
  readonly from: Device;
  readonly to: Person;
  readonly text: string;
  /** Rises with each letter from one device to another. */
  readonly order: number;
  /** Known once `send` has resolved: from then on it is durable. */
  id: MessageId | null;
  /** When it ends (ms since 1970), and may be gone before it is read. */
  readonly expires: number | null;
}

interface Stored {
  readonly id: MessageId;
  readonly thread: AccountId;
  readonly from: AccountId;
  readonly content: { readonly parts: readonly { readonly text: string }[] };
  readonly state: { readonly is: string; readonly gapBefore?: boolean };
}

interface Refused {
  readonly account: AccountId;
  readonly id: MessageId;
  readonly why: string;
}

/** Letters that are looked at in one thread. */
const most = 10_000;
const ranks: Readonly<Record<string, number>> = { queued: 0, held: 0, accepted: 1, delivered: 2 };

/** What came while its sender was blocked may be dropped so long after that was taken back. ms */
const openingTakes = 60_000;

/** What must hold of the letters: whatever a device's disk or its owner's eyes are given is held against what was sent. */
export class LetterPromises {
  readonly #sent = new Map<string, Sent>();
  readonly #orders = new Map<string, number>();
  /** device:letter → rank of its newest state. */
  readonly #ranks = new Map<string, number>();
  /** device:text of what was shown by word, and the order of the last from each. */
  readonly #shown = new Set<string>();
  readonly #lastShown = new Map<string, number>();
  /** device:account:letter that was taken in. */
  readonly #taken = new Set<string>();
  /** device:letter → how many restores there had been when it went back to be offered again. */
  readonly #offeredAgain = new Map<string, number>();
  readonly #positions = new Map<Device, { seq: number; restores: number }>();
  /** device:account → when it began or ceased to be blocked there, ms of the course. */
  readonly #blocked = new Map<string, { since: number; is: boolean }>();
  readonly #now: () => number;
  readonly #broken: (why: string) => void;
  readonly #server: () => ServerPromises;

  constructor(of: {
    broken: (why: string) => void;
    server: () => ServerPromises;
    /** ms of the course */
    now: () => number;
  }) {
    this.#broken = of.broken;
    this.#now = of.now;
    this.#server = of.server;
  }

  /**
   * Inboxes went on before all their owners' devices had come back: what those hold is not on the server for devices
   * that come later.
   */
  rowsMayLack = false;

  get count(): number {
    return this.#sent.size;
  }

  get all(): readonly Sent[] {
    return [...this.#sent.values()];
  }

  /** A new letter, with a text of about `size` characters that no other has. */
  write(from: Device, to: Person, of: { size: number; expires: number | null }): Sent {
    const line = `${from.name}>${to.name}`;
    const order = (this.#orders.get(line) ?? 0) + 1;
    this.#orders.set(line, order);
    const head = `${line} ${order} `;
    const text = head + "x".repeat(Math.max(0, of.size - head.length));
    const sent: Sent = { from, to, text, order, id: null, expires: of.expires };
    this.#sent.set(text, sent);
    return sent;
  }

  /** By the bytes that leave a device: whether this letter is one with an end. */
  find(from: Device, text: string): Sent | undefined {
    const sent = this.#sent.get(text);
    return sent?.from === from ? sent : undefined;
  }

  committed(device: Device, changes: readonly Change[]): void {
    for (const { table, key, value } of changes) {
      if (table === "blocked") {
        this.#blocked.set(`${device.name}:${key}`, { since: this.#now(), is: value !== null });
      }
      if (!value) continue;
      if (table === "letters") {
        const stored = decodeCbor(value, Number.POSITIVE_INFINITY) as Stored;
        this.#checkLetter(device, stored);
        this.#checkTaken(device, stored);
      }
      if (table === "refused") this.#checkRefused(device, decodeCbor(value) as Refused);
      if (table === "position") this.#checkPosition(device, decodeCbor(value) as { seq: number });
      if (table === "counters") this.#checkCounter(device, key, decodeCbor(value) as { accepted: number });
    }
  }

  shown(device: Device, letter: Letter): void {
    const sent = this.#sent.get(letter.text);
    if (!sent || sent.to !== device.person || sent.from.account !== letter.from) {
      this.#broken(`${device.name} was shown what nobody wrote: ${letter.text.slice(0, 20)}`);
      return;
    }
    const mark = `${device.name}:${letter.text}`;
    if (this.#shown.has(mark)) this.#broken(`${device.name} was shown ${nameOf(sent)} twice`);
    this.#shown.add(mark);
    const line = `${device.name}:${sent.from.name}`;
    const last = this.#lastShown.get(line) ?? 0;
    if (sent.order <= last) this.#broken(`${device.name} was shown ${nameOf(sent)} behind a later one`);
    if (letter.state.is === "received" && letter.state.gapBefore && !this.#mayLack(device, sent, last)) {
      this.#broken(`${device.name} was shown a hole in front of ${nameOf(sent)}`);
    }
    this.#lastShown.set(line, sent.order);
  }

  /** Whether a letter between two others is rightly not here: it had an end, or was refused. */
  #mayLack(device: Device, { from, to, order }: Sent, after: number): boolean {
    const refused = refusedAt(device);
    return this.all.some(
      (sent) =>
        sent.from === from &&
        sent.to === to &&
        sent.order > after &&
        sent.order < order &&
        (sent.expires !== null || (sent.id !== null && refused.has(sent.id))),
    );
  }

  /** Nothing new comes in of somebody whom this disk has blocked. */
  #checkTaken(device: Device, { id, from, state }: Stored): void {
    const mark = `${device.name}:${from}:${id}`;
    if (state.is !== "received" || this.#taken.has(mark)) return;
    this.#taken.add(mark);
    if (device.disk.get("blocked", from))
      this.#broken(`${device.name} takes in a letter of somebody who is blocked`);
  }

  /** Only forwards, and never ahead of what the server's disk holds. */
  #checkLetter(device: Device, stored: Stored): void {
    if (stored.from !== device.account) return;
    const sent = this.#sent.get(stored.content.parts[0]?.text ?? "");
    const room = sent?.from.lastRoom;
    if (!sent || !room) return;
    const mark = `${device.name}:${stored.id}`;
    const rank = ranks[stored.state.is] ?? 0;
    const before = this.#ranks.get(mark) ?? 0;
    this.#ranks.set(mark, rank);
    if (rank < before) {
      // What a restored server may have lost is offered again (C30), once for each restore; what was delivered never.
      const { restores } = this.#server();
      const isNews = before === 1 && restores > (this.#offeredAgain.get(mark) ?? 0);
      if (!isNews) this.#broken(`${nameOf(sent)} went back to ${stored.state.is}`);
      this.#offeredAgain.set(mark, restores);
    }
    if (rank === 0) return;
    const of = { ...room, id: stored.id, to: stored.thread };
    const { accepted, delivered } = this.#server().promised(of);
    if (!accepted) this.#broken(`${nameOf(sent)} counts as accepted, and the server does not have it`);
    if (rank === 2 && !delivered) this.#broken(`${nameOf(sent)} counts as delivered, and is not`);
  }

  /**
   * Everybody is honest here: nothing is refused but what had an end, is by somebody who is blocked here, or was erased
   * before this device was there. What somebody wrote before their own end is taken (L9), but for what another device of
   * this one's owner brought back to a restored server behind this one's asking (decision 0012).
   */
  #checkRefused(device: Device, { id, account, why }: Refused): void {
    const sent = this.all.find((letter) => letter.id === id);
    const isFirst = device === device.person.devices[0];
    if (why === "its contents have been erased" && (!isFirst || (sent && sent.expires !== null))) return;
    const block = this.#blocked.get(`${device.name}:${account}`);
    if (why === "its sender is blocked" && block) {
      if (block.is || block.since > this.#now() - openingTakes) return;
    }
    if (sent?.from.mayBeRefused && this.#server().restores > 0 && device.person.devices.length > 1) return;
    this.#broken(`${device.name} refuses ${sent ? nameOf(sent) : "what nobody wrote"}: ${why}`);
  }

  #checkPosition(device: Device, { seq }: { readonly seq: number }): void {
    const { restores } = this.#server();
    const before = this.#positions.get(device) ?? { seq: 0, restores };
    // Once for each restore it goes back to the last row that both have (C29).
    if (seq < before.seq && restores === before.restores)
      this.#broken(`${device.name} went back to row ${seq}`);
    this.#positions.set(device, { seq, restores: seq < before.seq ? restores : before.restores });
    if (device.account && seq > this.#server().highest(device.account)) {
      this.#broken(`${device.name} has row ${seq}, which the server has not`);
    }
  }

  #checkCounter(device: Device, stream: string, { accepted }: { readonly accepted: number }): void {
    if (!device.lastRoom) return;
    const counter = this.#server().counter(device.lastRoom.device, stream);
    if (accepted > counter) this.#broken(`${device.name} counts ${accepted} accepted, the server ${counter}`);
  }

  /** After healing: what a device wrote to somebody is there once, delivered, and at each of their devices, in order. */
  async checkThread(
    device: Device,
    to: Person,
    clients: { readonly of: Client; readonly with: readonly (readonly [Device, Client])[] },
  ): Promise<void> {
    const { account } = device;
    if (!to.account || !account || device.person === to) return;
    const went = (await clients.of.letters({ thread: to.account, most })).filter(
      ({ from }) => from === account,
    );
    const barred = this.isBarred(device, to);
    const arrived: (readonly [Device, readonly string[]])[] = [];
    for (const [other, client] of clients.with) arrived.push([other, await this.#textsOf(client, account)]);
    for (const sent of this.#sent.values()) {
      if (sent.from.person !== device.person || sent.to !== to) continue;
      const found = went.filter(({ text }) => text === sent.text);
      if (found.length > 1) this.#broken(`${nameOf(sent)} is ${found.length} times at ${device.name}`);
      // Of another device of the same person a copy comes, once the letter was accepted.
      if (sent.from !== device) continue;
      const is = found[0]?.state.is;
      if (sent.id !== null && is === undefined) this.#broken(`${nameOf(sent)} is not at its sender`);
      if (is === undefined || !to.isHere || (barred && (is === "held" || is === "queued"))) continue;
      if (is !== "delivered") this.#broken(`${nameOf(sent)} is ${is} for good`);
      for (const [other, texts] of arrived) this.#checkHas(other, texts, sent);
    }
    for (const [other, texts] of arrived) this.#checkArrived(other, texts);
  }

  /** After healing: copies of what one device of somebody knows to be accepted are at their others, unless refused there. */
  async checkCopies(device: Device, client: Client): Promise<void> {
    for (const sent of this.#sent.values()) {
      const { from, to, id } = sent;
      if (from === device || from.person !== device.person || from.ended || from.mayBeRefused) continue;
      if (id === null || !to.account || refusedAt(device).has(id) || this.rowsMayLack) continue;
      // Of what was under way when its recipient was removed or blocked it does not learn what became of it.
      if ((this.#ranks.get(`${from.name}:${id}`) ?? 0) === 0) continue;
      const letters = await client.letters({ thread: to.account, most });
      if (!letters.some(({ text }) => text === sent.text))
        this.#broken(`${device.name} has no copy of ${nameOf(sent)}`);
    }
  }

  /** Letters of somebody who has signed out since: what the server took must be there all the same. */
  async checkOrphans(device: Device, client: Client): Promise<void> {
    for (const sent of this.#sent.values()) {
      const { from, to, id } = sent;
      if (to !== device.person || !from.ended || !from.lastRoom || !to.account) continue;
      if (id === null || !this.#server().letter({ ...from.lastRoom, id, to: to.account }).accepted) continue;
      const texts = await this.#textsOf(client, from.lastRoom.account);
      this.#checkHas(device, texts, sent);
      this.#checkArrived(device, texts);
    }
  }

  #checkHas(device: Device, texts: readonly string[], sent: Sent): void {
    const { id, text } = sent;
    if (id !== null && refusedAt(device).has(id)) return;
    if (this.rowsMayLack && device !== device.person.devices[0]) return;
    if (!texts.includes(text)) this.#broken(`${nameOf(sent)} was lost at ${device.name}`);
  }

  /** After healing: what was shown here once is still here. */
  async checkShown(device: Device, client: Client): Promise<void> {
    const texts = new Set<string>();
    for (const account of new Set(this.all.map(({ from }) => from.account))) {
      if (account) for (const text of await this.#textsOf(client, account)) texts.add(text);
    }
    for (const { text, ...sent } of this.all) {
      if (this.#shown.has(`${device.name}:${text}`) && !texts.has(text))
        this.#broken(`${nameOf({ text, ...sent })} was shown at ${device.name}, and is gone`);
    }
  }

  async #textsOf(client: Client, account: AccountId): Promise<string[]> {
    const letters = await client.letters({ thread: account, most });
    return letters.filter(({ from }) => from === account).map(({ text }) => text);
  }

  /** Whether one of the two does not take letters of the other. */
  isBarred({ account, disk }: Device, to: Person): boolean {
    if (!account || !to.account) return false;
    return (
      disk.get("blocked", to.account) !== undefined ||
      this.#server().isBlocked({ account: to.account, sender: account })
    );
  }

  #checkArrived(device: Device, texts: readonly string[]): void {
    if (new Set(texts).size !== texts.length) this.#broken(`${device.name} has a letter twice`);
    const lines = Map.groupBy(texts, (text) => this.#sent.get(text)?.from);
    for (const [from, line] of lines) {
      const orders = line.map((text) => this.#sent.get(text)?.order ?? -1);
      if (!from || orders.some((order, at) => order <= (orders[at - 1] ?? 0))) {
        this.#broken(`${device.name} has letters out of order: ${orders.join(" ")}`);
      }
    }
  }
}

/** What a device's disk says it did not take in. */
function refusedAt({ disk }: Device): ReadonlySet<MessageId> {
  return new Set(disk.list("refused").map(([, value]) => (decodeCbor(value) as Refused).id));
}

function nameOf({ from, to, order }: Sent): string {
  return `letter ${order} of ${from.name} to ${to.name}`;
}
