import {
  type AccountId,
  type DeviceId,
  type EventName,
  type EventOf,
  encodeEvent,
  type MessageId,
  type Row,
} from "@snug/protocol";

/** One signed-in device's connection, as the others see it. */
export interface Present {
  /** Sends an event's frame. */
  push(frame: Uint8Array): void;
  /** Rows of one of its account's streams were stored. */
  appended(rows: readonly Row[]): void;
  /** Asks whether the link lives. */
  ping(): void;
  close(why: "replaced" | "signedOut" | "goingAway"): void;
}

/** Everybody who is signed in now, by device. */
export class Connections {
  readonly #byDevice = new Map<DeviceId, Present>();
  readonly #byAccount = new Map<AccountId, Set<Present>>();
  readonly #fresh = new Map<AccountId, Row[]>();

  /** Accounts with at least one connection. */
  online(): AccountId[] {
    return [...this.#byAccount.keys()];
  }

  /** How many devices are signed in. */
  get size(): number {
    return this.#byDevice.size;
  }

  /** Takes a connection that has just signed in; an older one of the same device gives way. */
  add(connection: Present, account: AccountId, device: DeviceId): void {
    const older = this.#byDevice.get(device);
    const present = this.#byAccount.get(account);
    // To the others: the newcomer reads who is online in its answer.
    if (!present) this.broadcast("presence", { account, online: true });
    this.#byAccount.set(account, (present ?? new Set()).add(connection));
    this.#byDevice.set(device, connection);
    older?.close("replaced");
  }

  /** Forgets a closed connection; the account is offline at once when it was the last. */
  remove(connection: Present, account: AccountId, device: DeviceId): void {
    if (this.#byDevice.get(device) === connection) this.#byDevice.delete(device);
    const present = this.#byAccount.get(account);
    if (!present?.delete(connection) || present.size > 0) return;
    this.#byAccount.delete(account);
    this.broadcast("presence", { account, online: false });
  }

  ofDevice(device: DeviceId): Present | undefined {
    return this.#byDevice.get(device);
  }

  /** To everybody signed in; encoded once. */
  broadcast<N extends EventName>(name: N, body: EventOf<N>): void {
    const frame = encodeEvent(name, body);
    for (const connection of this.#byDevice.values()) connection.push(frame);
  }

  /** Asks every link whether it lives. */
  ping(): void {
    for (const connection of this.#byDevice.values()) connection.ping();
  }

  closeAll(): void {
    for (const connection of [...this.#byDevice.values()]) connection.close("goingAway");
  }

  /** A new row, to its owner's devices that read the stream. What one commit brought travels together. */
  appended(owner: AccountId, row: Row): void {
    if (!this.#byAccount.has(owner)) return;
    const together = this.#fresh.get(owner);
    if (together) {
      together.push(row);
      return;
    }
    this.#fresh.set(owner, [row]);
    // Ticks come after all that the commit resolved.
    if (this.#fresh.size === 1) process.nextTick(() => this.#deliver());
  }

  #deliver(): void {
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    for (const [owner, rows] of fresh) {
      for (const connection of this.#byAccount.get(owner) ?? []) connection.appended(rows);
    }
  }

  /** Tells an account's devices what has arrived. */
  delivered(account: AccountId, ids: readonly MessageId[]): void {
    const present = this.#byAccount.get(account);
    if (!present) return;
    for (let at = 0; at < ids.length; at += 256) {
      const frame = encodeEvent("delivered", { ids: ids.slice(at, at + 256) });
      for (const connection of present) connection.push(frame);
    }
  }
}
