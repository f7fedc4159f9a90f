import type { Client, Letter } from "@snug/client";
import { type AccountId, decodeCbor, type MessageId } from "@snug/protocol";
import type { Device } from "./device.ts";
import type { ServerPromises } from "./serverPromises.ts";

type Change = { readonly table: string; readonly key: string; readonly value: Uint8Array | null };

/** A letter that somebody asked their client to send. */
export interface Sent {
  readonly from: Device;
  readonly to: Device;
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

const ranks: Readonly<Record<string, number>> = { queued: 0, held: 0, accepted: 1, delivered: 2 };

/** What must hold of the letters: whatever a device's disk or its owner's eyes are given is held against what was sent. */
export class LetterPromises {
  readonly #sent = new Map<string, Sent>();
  readonly #orders = new Map<string, number>();
  /** device:letter → rank of its newest state. */
  readonly #ranks = new Map<string, number>();
  /** device:text of what was shown by word, and the order of the last from each. */
  readonly #shown = new Set<string>();
  readonly #lastShown = new Map<string, number>();
  readonly #positions = new Map<Device, number>();
  readonly #broken: (why: string) => void;
  readonly #server: () => ServerPromises;

  constructor(of: { broken: (why: string) => void; server: () => ServerPromises }) {
    this.#broken = of.broken;
    this.#server = of.server;
  }

  get count(): number {
    return this.#sent.size;
  }

  get all(): readonly Sent[] {
    return [...this.#sent.values()];
  }

  /** A new letter, with a text of about `size` characters that no other has. */
  write(from: Device, to: Device, of: { size: number; expires: number | null }): Sent {
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
      if (!value) continue;
      if (table === "letters")
        this.#checkLetter(device, decodeCbor(value, Number.POSITIVE_INFINITY) as Stored);
      if (table === "refused")
        this.#checkRefused(device, decodeCbor(value) as { id: MessageId; why: string });
      if (table === "position") this.#checkPosition(device, decodeCbor(value) as { seq: number });
      if (table === "counters") this.#checkCounter(device, key, decodeCbor(value) as { accepted: number });
    }
  }

  shown(device: Device, letter: Letter): void {
    const sent = this.#sent.get(letter.text);
    if (!sent || sent.to !== device || sent.from.account !== letter.from) {
      this.#broken(`${device.name} was shown what nobody wrote: ${letter.text.slice(0, 20)}`);
      return;
    }
    const mark = `${device.name}:${letter.text}`;
    if (this.#shown.has(mark)) this.#broken(`${device.name} was shown ${nameOf(sent)} twice`);
    this.#shown.add(mark);
    const line = `${device.name}:${sent.from.name}`;
    const last = this.#lastShown.get(line) ?? 0;
    if (sent.order <= last) this.#broken(`${device.name} was shown ${nameOf(sent)} behind a later one`);
    if (letter.state.is === "received" && letter.state.gapBefore && !this.#hasEnded(sent, last)) {
      this.#broken(`${device.name} was shown a hole in front of ${nameOf(sent)}`);
    }
    this.#lastShown.set(line, sent.order);
  }

  /** Whether a letter between two others had an end: its contents may have been erased before they were read. */
  #hasEnded({ from, to, order }: Sent, after: number): boolean {
    return this.all.some(
      (sent) =>
        sent.from === from && sent.to === to && sent.order > after && sent.order < order && sent.expires,
    );
  }

  /** Only forwards, and never ahead of what the server's disk holds. */
  #checkLetter(device: Device, stored: Stored): void {
    if (stored.from !== device.account) return;
    const sent = this.#sent.get(stored.content.parts[0]?.text ?? "");
    const room = device.lastRoom;
    if (!sent || !room) return;
    const mark = `${device.name}:${stored.id}`;
    const rank = ranks[stored.state.is] ?? 0;
    const before = this.#ranks.get(mark) ?? 0;
    this.#ranks.set(mark, rank);
    if (rank < before) this.#broken(`${nameOf(sent)} went back to ${stored.state.is}`);
    if (rank === 0) return;
    const of = { ...room, id: stored.id, to: stored.thread };
    const { accepted, delivered } = this.#server().letter(of);
    if (!accepted) this.#broken(`${nameOf(sent)} counts as accepted, and the server does not have it`);
    if (rank === 2 && !delivered) this.#broken(`${nameOf(sent)} counts as delivered, and is not`);
  }

  /** Everybody is honest here: nothing is refused but what had an end; what somebody wrote before leaving is not (L9). */
  #checkRefused(device: Device, { id, why }: { readonly id: MessageId; readonly why: string }): void {
    const sent = this.all.find((letter) => letter.id === id);
    if (sent?.expires) return;
    this.#broken(`${device.name} refuses ${sent ? nameOf(sent) : "what nobody wrote"}: ${why}`);
  }

  #checkPosition(device: Device, { seq }: { readonly seq: number }): void {
    if (seq < (this.#positions.get(device) ?? 0)) this.#broken(`${device.name} went back to row ${seq}`);
    this.#positions.set(device, seq);
    if (device.account && seq > this.#server().head(device.account)) {
      this.#broken(`${device.name} has row ${seq}, which the server has not`);
    }
  }

  #checkCounter(device: Device, stream: string, { accepted }: { readonly accepted: number }): void {
    if (!device.lastRoom) return;
    const counter = this.#server().counter(device.lastRoom.device, stream);
    if (accepted > counter) this.#broken(`${device.name} counts ${accepted} accepted, the server ${counter}`);
  }

  /** After healing: what is in each thread is what was sent, once, in order, and as far as it can come. */
  async checkThreads(
    device: Device,
    other: Device,
    clients: { of: Client; with: Client | null },
  ): Promise<void> {
    if (!other.account || !device.account || device === other) return;
    const at = { thread: other.account, most: 10_000 };
    const went = (await clients.of.letters(at)).filter(({ from }) => from === device.account);
    const came = await clients.with?.letters({ ...at, thread: device.account });
    const arrived = came?.filter(({ from }) => from === device.account).map(({ text }) => text);
    for (const sent of this.#sent.values()) {
      if (sent.from !== device || sent.to !== other) continue;
      const found = went.filter(({ text }) => text === sent.text);
      if (found.length > 1 || (sent.id !== null && found.length === 0)) {
        this.#broken(`${nameOf(sent)} is ${found.length} times at its sender`);
      }
      if (found.length === 0 || !arrived) continue;
      if (found[0]?.state.is !== "delivered")
        this.#broken(`${nameOf(sent)} is ${found[0]?.state.is} for good`);
      if (!arrived.includes(sent.text) && sent.expires === null) this.#broken(`${nameOf(sent)} was lost`);
    }
    if (arrived) this.#checkArrived(other, arrived);
  }

  /** Letters of somebody who has signed out since: what the server took must be there all the same. */
  async checkOrphans(device: Device, client: Client): Promise<void> {
    for (const sent of this.#sent.values()) {
      const { from, to, id } = sent;
      if (
        to !== device ||
        !from.ended ||
        from.left ||
        !from.lastRoom ||
        !to.account ||
        id === null ||
        sent.expires !== null
      )
        continue;
      if (!this.#server().letter({ ...from.lastRoom, id, to: to.account }).accepted) continue;
      const letters = await client.letters({ thread: from.lastRoom.account, most: 10_000 });
      const texts = letters
        .filter((letter) => letter.from === from.lastRoom?.account)
        .map(({ text }) => text);
      if (!texts.includes(sent.text)) this.#broken(`${nameOf(sent)} was lost`);
      this.#checkArrived(device, texts);
    }
  }

  #checkArrived(device: Device, texts: readonly string[]): void {
    if (new Set(texts).size !== texts.length) this.#broken(`${device.name} has a letter twice`);
    const orders = texts.map((text) => this.#sent.get(text)?.order ?? -1);
    if (orders.some((order, at) => order <= (orders[at - 1] ?? 0))) {
      this.#broken(`${device.name} has letters out of order: ${orders.join(" ")}`);
    }
  }
}

function nameOf({ from, to, order }: Sent): string {
  return `letter ${order} of ${from.name} to ${to.name}`;
}
