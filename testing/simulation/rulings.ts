import type { Course } from "./course.ts";
import type { Device, Person } from "./device.ts";
import type { House } from "./house.ts";
import { isTyped, nameOf as refusalOf } from "./refusals.ts";

/** What an administrator wants; asked for until it is so, and again where a restored server has forgotten it. */
type Ruling =
  | { readonly is: "remove"; readonly person: Person }
  | { readonly is: "end"; readonly device: Device }
  | { readonly is: "role"; readonly person: Person; readonly role: "admin" | "member" };

/** ms between two looks at what is not so yet */
const again = 4_000;
/** ms that a round of rulings may take before the next one begins */
const longest = 60_000;

/** Those who rule, and what of it is to be done. */
export class Rulings {
  readonly #course: Course;
  readonly #house: House;
  readonly #people: readonly Person[];
  readonly #wanted = new Set<Ruling>();
  readonly #done = new Set<Ruling>();
  #looking = false;

  constructor(of: { course: Course; house: House; people: readonly Person[] }) {
    this.#course = of.course;
    this.#house = of.house;
    this.#people = of.people;
  }

  ask(ruling: Ruling): void {
    if (ruling.is === "remove") ruling.person.doomed = true;
    if (ruling.is === "end") ruling.device.doomed = true;
    this.#wanted.add(ruling);
    if (this.#wanted.size === 1) this.#look();
  }

  /** What no administrator has seen done yet. */
  get open(): readonly string[] {
    return [...this.#wanted].filter((ruling) => ruling.is !== "role" && !this.#done.has(ruling)).map(nameOf);
  }

  #look(): void {
    this.#course.after(again, () => this.#look());
    if (this.#looking || this.#house.byHand) return;
    this.#looking = true;
    // A program that is killed meanwhile never says what became of it.
    Promise.race([this.#ruleOpen(), this.#course.pause(longest)]).then(
      () => {
        this.#looking = false;
      },
      (error: unknown) => {
        this.#looking = false;
        this.#refused(error);
      },
    );
  }

  readonly #refused = (error: unknown): void => {
    if (!isTyped(error)) this.#course.fail(`a ruling: ${String(error)}`);
    this.#course.trace("refusal", refusalOf(error));
  };

  /** One at a time: each is judged by what the one before has left. */
  async #ruleOpen(): Promise<void> {
    for (const ruling of this.#wanted) {
      const admin = this.#adminFor(personOf(ruling));
      if (!admin) continue;
      if (await isDone(ruling, admin)) {
        this.#done.add(ruling);
        continue;
      }
      this.#done.delete(ruling);
      await this.#rule(ruling, admin).catch(this.#refused);
    }
  }

  async #rule(ruling: Ruling, admin: Device): Promise<void> {
    const { client } = admin;
    const { account } = personOf(ruling);
    if (!client || !account) return;
    admin.trace(nameOf(ruling));
    if (ruling.is === "remove") await client.removeAccount(account);
    else if (ruling.is === "end" && ruling.device.lastRoom) {
      await client.endDevice(account, ruling.device.lastRoom.device);
    } else if (ruling.is === "role") {
      // Somebody else may rule otherwise later: this is not asked for again.
      this.#wanted.delete(ruling);
      await client.setRole(account, ruling.role);
    }
  }

  /** An administrator's device that can be asked now, of somebody else. */
  #adminFor(person: Person): Device | undefined {
    return this.#people
      .filter((other) => other !== person && other.isHere)
      .flatMap(({ inUse }) => inUse)
      .find(({ isOnline, doomed, client }) => {
        const state = client?.state;
        return isOnline && !doomed && state?.phase === "joined" && state.me.role === "admin";
      });
  }
}

function personOf(ruling: Ruling): Person {
  return ruling.is === "end" ? ruling.device.person : ruling.person;
}

/** As an administrator's own directory has it. */
async function isDone(ruling: Ruling, { client }: Device): Promise<boolean> {
  const { account } = personOf(ruling);
  if (client?.state.phase !== "joined" || !account) return false;
  const found = client.state.people.find((other) => other.account === account);
  if (!found) return false;
  if (found.removed) return true;
  if (ruling.is === "role") return found.role === ruling.role;
  if (ruling.is === "remove") return false;
  const devices = await client.devices(account);
  return devices.some(({ device, endedBy }) => device === ruling.device.lastRoom?.device && endedBy !== null);
}

function nameOf(ruling: Ruling): string {
  if (ruling.is === "end") return `ends ${ruling.device.name}`;
  return ruling.is === "remove"
    ? `removes ${ruling.person.name}`
    : `makes ${ruling.person.name} ${ruling.role}`;
}
