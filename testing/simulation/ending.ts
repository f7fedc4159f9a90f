import { decodeCbor } from "@snug/protocol";
import type { Device, Person } from "./device.ts";
import type { LetterPromises } from "./letterPromises.ts";
import type { Rulings } from "./rulings.ts";
import type { ServerPromises } from "./serverPromises.ts";

interface Waiting {
  readonly to: string;
  readonly copyOf: string | null;
  readonly accepted: boolean;
  readonly letter: number | null;
  readonly sealed: { readonly counter: number } | null;
}

/** What must have come about once everything was made good. */
export class Ending {
  readonly #people: readonly Person[];
  readonly #rulings: Rulings;
  readonly #letters: LetterPromises;
  readonly #server: ServerPromises;
  readonly #forgives: boolean;

  constructor(of: {
    people: readonly Person[];
    rulings: Rulings;
    letters: LetterPromises;
    server: ServerPromises;
    /** Everybody takes letters of everybody again. */
    forgives: boolean;
  }) {
    this.#people = of.people;
    this.#rulings = of.rulings;
    this.#letters = of.letters;
    this.#server = of.server;
    this.#forgives = of.forgives;
  }

  get #devices(): readonly Device[] {
    return this.#people.flatMap(({ devices }) => devices);
  }

  /** What is still to come, in words. */
  open(): string[] {
    return [...this.#rulings.open, ...this.#devices.flatMap((device) => this.#openOf(device))];
  }

  #openOf(device: Device): string[] {
    if (device.ended) return [];
    const { name, account, client } = device;
    if (device.mayBeRefused) return [`${name} is still let in`];
    if (!account || !device.isOnline || client?.state.phase !== "joined") return [`${name} is not online`];
    const blocked = client.state.people.filter((person) => person.blocked);
    if (blocked.length > 0 && this.#forgives) return [`${name} blocks somebody`];
    const waiting = device.disk
      .list("outbox")
      .map(([, value]) => decodeCbor(value, Number.POSITIVE_INFINITY) as Waiting)
      .filter((entry) => this.#canLeave(device, entry));
    const behind = this.#server.head(account) - (device.position ?? 0);
    return [
      ...waiting.map(({ to, accepted, letter, sealed }) => {
        const other = this.#people.find((person) => person.account === to);
        const counter = sealed === null ? "unsealed" : `counter ${sealed.counter}`;
        return `${name} to ${other?.name}: ${letter ?? "copy"}, ${counter}, ${accepted ? "accepted" : "waits"}`;
      }),
      ...(behind > 0 ? [`${name} lacks ${behind} rows`] : []),
    ];
  }

  #canLeave(device: Device, { to, copyOf, accepted }: Waiting): boolean {
    // A copy to oneself leaves, whoever has gone that the letter went to; delivered it may never be.
    if (copyOf !== null && !accepted) return true;
    const person = this.#people.find(({ account }) => account === (copyOf ?? to));
    return person?.isHere === true && (accepted || !this.#letters.isBarred(device, person));
  }

  /** Looks into every thread of everybody. */
  async check(): Promise<void> {
    const alive = this.#devices.flatMap((device) =>
      device.ended || !device.client ? [] : [[device, device.client] as const],
    );
    const checks = alive.flatMap(([device, client]) => [
      ...this.#people.map((to) => {
        const others = alive.filter(([other]) => other.person === to);
        return this.#letters.checkThread(device, to, { of: client, with: others });
      }),
      this.#letters.checkCopies(device, client),
      this.#letters.checkOrphans(device, client),
      this.#letters.checkShown(device, client),
    ]);
    await Promise.all(checks);
  }
}
