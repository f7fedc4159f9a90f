import type { Client } from "@snug/client";
import { SnugError } from "@snug/protocol";
import type { Course } from "./course.ts";
import type { Device, Person } from "./device.ts";
import type { House } from "./house.ts";
import { isTyped } from "./refusals.ts";

/** How everybody gets in: the first by the setup link, the others by whoever is there. */
export class Joining {
  readonly #course: Course;
  readonly #house: House;
  readonly #people: readonly Person[];
  /** How many people an invite is made for. */
  readonly #uses: number;
  readonly #links = new Map<Device, string>();
  /** Made for several, and used by whoever comes next. */
  #link: string | null = null;

  constructor(of: { course: Course; house: House; people: readonly Person[]; uses: number }) {
    this.#course = of.course;
    this.#house = of.house;
    this.#people = of.people;
    this.#uses = of.uses;
  }

  /** Asks to come in until it is done, also over the end of its program; a link that became void is replaced. */
  comeIn(device: Device): void {
    const { client } = device;
    if (device.lastRoom && client?.state.phase === "joined") return;
    this.#course.after(2_000, () => this.comeIn(device));
    if (client?.state.phase !== "new") return;
    this.#join(device, client).catch((error: unknown) => {
      const code = error instanceof SnugError ? error.code : "";
      // A restart voids the setup link, and clocks that are turned end invites.
      if (code === "invite-invalid") {
        this.#links.delete(device);
        this.#link = null;
      } else if (!isTyped(error) || (code !== "" && !["unavailable", "conflict"].includes(code))) {
        this.#course.fail(`${device.name} can't come in: ${String(error)}`);
      }
      this.#course.trace(device.name, `is not in yet ${code}`);
    });
  }

  async #join(device: Device, client: Client): Promise<void> {
    const link = this.#links.get(device) ?? (await this.#linkFor(device));
    if (!link || this.#house.byHand) return;
    this.#links.set(device, link);
    await client.join({ link, name: device.name });
  }

  async #linkFor(device: Device): Promise<string | null> {
    const devices = this.#people.flatMap((person) => person.devices);
    if (device === devices[0]) return this.#house.room ? this.#house.setupLink() : null;
    if (this.#link) return this.#link;
    const inviter = devices.find(({ isOnline, ended, mayBeRefused }) => isOnline && !ended && !mayBeRefused);
    const link = (await inviter?.client?.invite({ uses: this.#uses })) ?? null;
    if (this.#uses > 1) this.#link = link;
    return link;
  }
}
