import type { ClientState } from "@snug/client";
import { serverIdOf } from "@snug/crypto/identity";
import { Ed25519Public } from "@snug/protocol";
import type { LogKeys } from "../../packages/server/src/logKey.ts";
import { Chance } from "./chance.ts";
import { Course } from "./course.ts";
import { type Death, Device, Person } from "./device.ts";
import { Ending } from "./ending.ts";
import { House } from "./house.ts";
import { Joining } from "./joining.ts";
import type { KeyPool } from "./keyPool.ts";
import { LetterPromises } from "./letterPromises.ts";
import { isTyped, nameOf } from "./refusals.ts";
import { Rulings } from "./rulings.ts";
import type { Script, Step } from "./script.ts";
import { ServerDisk } from "./serverDisk.ts";
import { ServerPromises } from "./serverPromises.ts";
import { addDevice, changeKeys } from "./statements.ts";

const names = ["ada", "ben", "cleo", "dov", "eve"] as const;
/** The clocks on the walls at the beginning: 22 November 2026. */
const epoch = 1_795_300_000_000;
/** So long after everything was made good the last letter must have arrived. ms */
const patience = 30 * 60_000;

/** What came of one course. */
export interface Outcome {
  readonly seed: number;
  readonly failure: Error | null;
  /** Of everything that happened: the same seed gives the same. */
  readonly hash: string;
  readonly lines: readonly string[];
  readonly letters: number;
  readonly commits: number;
  /** How often the server's disk was put back. */
  readonly restores: number;
  readonly diskFaults: number;
  readonly refusedCommits: number;
}

/** Plays a script from beginning to end. Never rejects: what went wrong is in the outcome. */
export async function play(
  script: Script,
  of: { readonly keys: KeyPool; readonly logKeys: LogKeys },
): Promise<Outcome> {
  using world = new World(script, of);
  let failure: Error | null = null;
  const lost = (cause: unknown): void => world.course.fail(`a rejection that nobody hears: ${textOf(cause)}`);
  process.on("unhandledRejection", lost);
  try {
    await world.play();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  } finally {
    process.off("unhandledRejection", lost);
  }
  return world.outcome(failure);
}

/** A log key for courses; one is enough for all. */
export async function makeCourseLogKeys(): Promise<LogKeys> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const { x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const first = Ed25519Public.parse({ kty: "OKP", crv: "Ed25519", x });
  const held = [{ logKey: pair.privateKey, logPublic: first }];
  return { server: await serverIdOf(first), first, held };
}

class World implements Disposable {
  readonly course: Course;
  readonly #script: Script;
  readonly #chance: Chance;
  readonly #disk: ServerDisk;
  readonly #house: House;
  readonly #people: readonly Person[];
  readonly #rulings: Rulings;
  readonly #server: ServerPromises;
  readonly #letters: LetterPromises;
  readonly #joining: Joining;
  readonly #ending: Ending;
  /** Devices that are to start again once the server is adopted. */
  readonly #misled = new Set<Device>();
  #adopted = Number.NEGATIVE_INFINITY;
  /** The waiting of a restored server was ended, whoever was still away. */
  #hurried = false;
  /** Changes of the log key that are under way: one may have begun before another has ended. */
  readonly #rotations = new Set<symbol>();
  readonly #adding = new Set<Person>();
  #healed = false;
  #refusals = 0;

  constructor(script: Script, of: { readonly keys: KeyPool; readonly logKeys: LogKeys }) {
    this.#script = script;
    const chance = new Chance(`course ${script.seed}`);
    this.#chance = chance;
    let date = (): number => epoch;
    this.course = new Course({ chance, keys: of.keys, date: () => date() });
    const { course } = this;
    const broken = (why: string): void => course.fail(why);
    const now = (): number => course.now;
    this.#disk = new ServerDisk({
      ...{ course, chance: chance.of("server disk"), quota: script.quota, keys: of.logKeys },
      watcher: {
        posted: (calls) => this.#server.posted(calls),
        before: (calls) => this.#server.before(calls),
        committed: (calls, results) => this.#server.committed(calls, results),
        told: (results) => this.#server.told(results),
      },
    });
    this.#server = new ServerPromises({
      ...{ path: this.#disk.path, quota: script.quota, broken, now },
      stored: (id) => {
        const device = this.#devices.find(({ lastRoom }) => lastRoom?.device === id);
        // One that is being added has read nothing: the server may know of it long before it starts.
        return device ? device.position : 0;
      },
    });
    this.#letters = new LetterPromises({ broken, now, server: () => this.#server });
    this.#house = new House({
      course,
      chance: chance.of("reads"),
      reads: script.reads,
      disk: this.#disk,
      clock: epoch,
    });
    date = () => this.#house.now();
    this.#people = names.slice(0, script.people).map((name) => {
      const person = new Person(name);
      person.devices.push(this.#makeDevice(person, name, chance.of(name)));
      return person;
    });
    const parts = { course, house: this.#house, people: this.#people };
    this.#rulings = new Rulings(parts);
    this.#joining = new Joining({ ...parts, uses: script.inviteUses });
    this.#ending = new Ending({
      ...{ people: this.#people, rulings: this.#rulings, letters: this.#letters, server: this.#server },
      forgives: script.forgives,
    });
  }

  get #devices(): readonly Device[] {
    return this.#people.flatMap(({ devices }) => devices);
  }

  #makeDevice(person: Person, name: string, chance: Chance): Device {
    const { course } = this;
    const device: Device = new Device({
      ...{ name, person, course, chance, house: this.#house, clock: epoch + chance.int(-5_000, 5_000) },
      watcher: {
        committed: (changes) => this.#letters.committed(device, changes),
        shown: (letter) => this.#letters.shown(device, letter),
        changed: (state) => this.#changed(device, state),
        sent: (frame) => this.#server.sent(device.lastRoom, frame),
      },
      endOf: (text) => this.#letters.find(device, text)?.expires ?? null,
    });
    return device;
  }

  outcome(failure: Error | null): Outcome {
    const { hash, lines } = this.course;
    return {
      ...{ seed: this.#script.seed, failure, hash, lines },
      letters: this.#letters.count,
      commits: this.#server.commits,
      restores: this.#server.restores,
      diskFaults: this.#disk.faults,
      refusedCommits: this.#refusals,
    };
  }

  async play(): Promise<void> {
    const { course } = this;
    this.#do("the server starts", () => this.#house.start());
    this.#devices.forEach((device, at) => {
      course.after(this.#script.joins[at] ?? 0, () => {
        this.#do("a device starts", () => device.start());
        this.#joining.comeIn(device);
      });
    });
    for (const step of this.#script.steps) course.after(step.at, () => this.#step(step));
    await course.run(this.#script.heals);
    await this.#heal();
  }

  /** Work of the course's own; whatever it rejects with must be typed, or is the simulation's doing. */
  #do(what: string, work: () => Promise<unknown>): void {
    work().catch((error: unknown) => {
      if (!isTyped(error)) this.course.fail(`${what}: ${textOf(error)}`);
      this.course.trace("refusal", `${what}: ${nameOf(error)}`);
    });
  }

  #changed(device: Device, state: ClientState): void {
    if (state.phase === "ended" && !device.ended) this.course.fail(`${device.name} ended: ${state.why}`);
    if (state.phase !== "joined") return;
    device.lastRoom ??= { account: state.me.account, device: state.me.device };
    const { connection } = state;
    device.traceState(connection.is);
    device.wasOnline ||= connection.is === "online";
    if (connection.is !== "stopped" || device.ended) return;
    if (connection.code === "unauthenticated" && device.mayBeRefused) {
      device.trace("is ended");
      device.ended = true;
    } else if (this.#isMisled(device, connection.code)) {
      if (this.#house.byHand) this.#misled.add(device);
      else this.course.after(4_000, () => this.#restart(device, 10));
    } else if (this.#hasParted(device, connection.code)) {
      device.trace("has parted from the server's history");
      device.person.part();
    } else {
      this.course.fail(`${device.name} stopped without a cause: ${connection.code}, ${connection.why}`);
    }
  }

  /** An older database, as long as nobody has told the server that it is one, stops whoever knows more, or came later (D18). */
  #isMisled({ linkedAt }: Device, code: string): boolean {
    // Whoever slept meanwhile finds later what it was told before the adoption.
    const wasTold = this.#house.byHand || linkedAt < this.#adopted;
    return wasTold && ["rolled-back", "chain", "unauthenticated", "incarnation-changed"].includes(code);
  }

  /**
   * What only this device knew was overtaken on a restored server: it was not waited for, since its account came after
   * the backup, or since the waiting was ended. Or nobody knew: the disk was lost before the device had read what it
   * joined by, and nobody can bring that back (D20).
   */
  #hasParted({ account, wasOnline }: Device, code: string): boolean {
    const isKnown = account !== null && this.#house.room?.log.directory.accounts.has(account);
    if (this.#server.restores === 0 || (code === "unauthenticated" && wasOnline)) return false;
    return code === "unauthenticated" ? !isKnown : code === "two-histories" && (this.#hurried || !isKnown);
  }

  #restart(device: Device, later: number): void {
    device.kill("reset");
    this.course.after(later, () => this.#do(`${device.name} starts`, () => device.start()));
  }

  #step(step: Step): void {
    if (this.#healed) return;
    const { house, course } = { house: this.#house, course: this.course };
    switch (step.is) {
      case "turn-server-clock":
        // Forward, it ends the waiting of a restored server.
        if (step.by > 0 && house.room?.restoring.active && !this.#mayFinish()) return;
        course.trace("server", `clock ${step.by}`);
        house.clock += step.by;
        return;
      case "crash":
        house.crash();
        this.#rotations.clear();
        course.after(step.lasts, () => this.#up());
        return;
      case "stop":
        this.#do("the server stops", () => house.stop());
        course.after(2_500 + step.lasts, () => this.#up());
        return;
      case "fail-disk":
        course.trace("disk", `is ${step.fault}`);
        this.#disk.fault = step.fault;
        course.after(step.lasts, () => {
          this.#disk.fault = null;
        });
        return;
      case "sweep":
        this.#do("a sweep", async () => house.room?.store.sweep(house.now()));
        return;
      case "write":
        this.#write(step);
        return;
      case "back-up":
      case "rotate-log-key":
      case "restore":
      case "finish":
        if (!house.byHand && this.#devices[0]?.lastRoom) this.#stepOfServer(step);
        return;
      default: {
        const device = this.#people[step.who]?.device(step.on);
        if (!device?.lastRoom || device.ended) return;
        if (isRuling(step)) this.#ruleBy(device, step);
        else this.#stepOf(device, step);
      }
    }
  }

  #rotateLogKey(): void {
    const rotation = Symbol();
    this.#rotations.add(rotation);
    this.#do("another log key", () =>
      this.#house.rotateLogKey().finally(() => {
        this.#rotations.delete(rotation);
      }),
    );
  }

  #stepOfServer(step: Extract<Step, { is: "back-up" | "rotate-log-key" | "restore" | "finish" }>): void {
    const { house, course } = { house: this.#house, course: this.course };
    switch (step.is) {
      case "back-up":
        if (this.#rotations.size > 0) return;
        course.trace("server", "is backed up");
        this.#disk.backUp(house.now());
        return;
      case "rotate-log-key":
        // A backup from before has no key for what comes after.
        this.#disk.forgetBackup();
        this.#rotateLogKey();
        return;
      case "finish":
        this.#finish();
        return;
      case "restore":
        if (!this.#disk.hasBackup || this.#rotations.size > 0) return;
        this.#server.remember();
        house.putBack(step.byHand !== null);
        this.#server.restored(this.#disk.path, step.byHand !== null);
        course.after(step.lasts, () => this.#up());
        if (step.byHand !== null) course.after(step.lasts + step.byHand, () => this.#adopt());
        return;
    }
  }

  /** The operator looks first whether somebody is away who knows more people than the server. */
  #finish(): void {
    if (!this.#house.room?.restoring.active || !this.#mayFinish()) return;
    this.#do("the waiting ends", () => this.#house.finish());
  }

  /** Whether nobody is away with more of the directory than the server has; then what ends the waiting may come. */
  #mayFinish(): boolean {
    const { room } = this.#house;
    if (!room) return false;
    if (this.#devices.some(({ disk, ended }) => !ended && disk.list("directory").length > room.log.size))
      return false;
    this.#letters.rowsMayLack = true;
    return true;
  }

  #adopt(): void {
    if (!this.#house.byHand) return;
    this.#house.adopt();
    this.#server.adopted();
    this.#letters.rowsMayLack = true;
    this.#adopted = this.course.now;
    this.#up();
    for (const device of this.#misled) this.course.after(2_000, () => this.#restart(device, 10));
    this.#misled.clear();
  }

  /** What changes the directory, or who takes letters of whom. Not on a server that was put back by hand. */
  #ruleBy(device: Device, step: Extract<Step, { is: RulingStep }>): void {
    const { person, client } = device;
    const [first] = this.#people;
    if (this.#house.byHand) return;
    switch (step.is) {
      case "add-device":
        this.#addDevice(person);
        return;
      case "block":
      case "unblock": {
        const whom = this.#people[step.whom]?.account;
        if (!client || !whom || !device.isOnline) return;
        device.trace(`${step.is}s ${this.#people[step.whom]?.name}`);
        this.#do(step.is, () => client.setBlocked(whom, step.is === "block"));
        return;
      }
      case "role":
        if (person !== first) this.#rulings.ask({ is: "role", person, role: step.role });
        return;
      case "end-device":
        if (person !== first && person.inUse.length > 1) this.#rulings.ask({ is: "end", device });
        return;
      case "remove":
        if (person !== first && this.#here.length > 2) this.#rulings.ask({ is: "remove", person });
        return;
      case "revoke-invites":
        this.#do("revoking invites", async () => {
          for (const { hash } of (await client?.invites()) ?? []) await client?.revokeInvite(hash);
        });
        return;
    }
  }

  /** The first of them rules, and stays. */
  get #isRuled(): boolean {
    return this.#script.steps.some(isRuling);
  }

  get #here(): readonly Person[] {
    return this.#people.filter(({ isHere }) => isHere);
  }

  #addDevice(person: Person): void {
    if (person.devices.length > 2 || person.doomed || this.#adding.has(person)) return;
    this.#adding.add(person);
    const name = `${person.name}${person.devices.length + 1}`;
    const device = this.#makeDevice(person, name, this.#chance.of(name));
    this.#do("another device", async () => {
      const added = await addDevice(person, device, { course: this.course, house: this.#house });
      this.#adding.delete(person);
      device.ended = !added;
      if (!added && device.lastRoom) this.#rulings.ask({ is: "end", device });
      if (!added) return;
      device.trace("is added");
      person.devices.push(device);
      await device.start();
    });
  }

  #up(): void {
    this.#do("the server starts", () => this.#house.start());
  }

  #stepOf(device: Device, step: Extract<Step, { who: number }>): void {
    const { course } = this;
    switch (step.is) {
      case "lose":
        device.lose(step.loss);
        course.after(step.lasts, () => device.regain(step.told));
        return;
      case "kill":
        this.#restartAfterKill(device, step);
        return;
      case "quit":
        this.#do(`${device.name} quits`, () => device.quit());
        course.after(step.lasts, () => this.#do(`${device.name} starts`, () => device.start()));
        return;
      case "sleep":
        device.sleep();
        course.after(step.lasts, () => device.wake());
        return;
      case "stop-reading":
        device.read(false);
        course.after(step.lasts, () => device.read(true));
        return;
      case "weather":
        device.weather = step;
        return;
      case "refuse":
        device.trace("disk is full");
        this.#refusals += step.commits;
        device.disk.refuses += step.commits;
        return;
      case "turn-clock":
        device.trace(`clock ${step.by}`);
        device.clock += step.by;
        return;
      case "change-keys":
        if (this.#house.byHand || (this.#isRuled && device.person === this.#people[0])) return;
        this.#do(`${device.name} changes keys`, () =>
          changeKeys(device.person, { course, house: this.#house, lasts: step.lasts, epoch }),
        );
        return;
      case "accept-keys":
        this.#acceptKeys(device);
        return;
      case "mark-read":
        for (const { account } of this.#devices) {
          if (account) this.#do("reading", async () => device.client?.markRead(account));
        }
        return;
      case "sign-out":
      case "leave":
        this.#goAway(device, step.is);
        return;
    }
  }

  #restartAfterKill(device: Device, { how, lasts }: { how: Death; lasts: number }): void {
    device.kill(how);
    this.course.after(lasts, () => this.#do(`${device.name} starts`, () => device.start()));
  }

  #goAway(device: Device, how: "sign-out" | "leave"): void {
    const { client, person } = device;
    if (!client || (how === "leave" && (!device.isOnline || this.#house.byHand))) return;
    // One stays, for the others to be invited by.
    if (this.#here.length < 3) return;
    if (this.#isRuled && person === this.#people[0]) return;
    device.trace(how);
    device.ended = true;
    if (how === "leave") person.doomed = true;
    this.#do(how, () => (how === "leave" ? client.leave() : client.signOut()));
    // A leaving that came to nothing, and a device that would be waited for.
    if (this.#isRuled && how === "leave") this.#rulings.ask({ is: "remove", person });
    else if (person.devices.length > 1) this.#rulings.ask({ is: "end", device });
  }

  #write(step: Extract<Step, { is: "write" }>): void {
    const from = this.#people[step.from]?.device(step.on);
    const to = this.#people[step.to];
    const client = from?.client;
    if (!from || !to?.account || from.ended || client?.state.phase !== "joined") return;
    const { account } = to;
    if (!client.state.people.some((person) => person.account === account)) return;
    for (const size of step.sizes) {
      const end = step.expires ? this.#house.now() + size * 100 : null;
      const sent = this.#letters.write(from, to, { size, expires: end });
      this.#do(`${from.name} writes`, async () => {
        sent.id = await client.send(account, sent.text);
        from.trace(`wrote ${sent.order} to ${to.name}`);
        this.#do("waiting for a letter to leave", () => client.settled(sent.id ?? raise("no id")));
      });
    }
  }

  #acceptKeys(device: Device): void {
    const state = device.client?.state;
    for (const { account, trust } of state?.phase === "joined" ? state.people : []) {
      // An added device has no secrets of the invites that the first one made: its owner looks at who came by them.
      const isUnproven = trust.how === "unproven" && device !== device.person.devices[0];
      if (trust.how !== "key-changed" && !isUnproven) continue;
      this.#do("accepting keys", async () => device.client?.acceptNewKeys(account));
    }
  }

  /** Everything is made good; then every promise that was left open must be kept. */
  async #heal(): Promise<void> {
    const { course } = this;
    course.trace("world", "heals");
    this.#healed = true;
    this.#disk.fault = null;
    this.#adopt();
    for (const device of this.#devices) {
      device.disk.refuses = 0;
      device.weather = { latency: 10, spread: 5, rate: 10_000 };
    }
    const end = course.now + patience;
    for (let round = 0; this.#ending.open().length > 0; round++) {
      if (course.now > end) throw new Error(`not drained: ${this.#ending.open().join("; ")}`);
      this.#up();
      if (round === 60) this.#hurry();
      for (const device of this.#devices) this.#repair(device, round);
      await course.run(course.now + 5_000);
    }
    await this.#check();
  }

  #repair(device: Device, round: number): void {
    device.wake();
    device.read(true);
    device.regain(round === 0);
    this.#acceptKeys(device);
    if (this.#script.forgives) this.#forgive(device);
    if (!device.client && !device.ended) this.#do("starts", () => device.start());
  }

  #forgive({ client, isOnline }: Device): void {
    if (!isOnline || client?.state.phase !== "joined") return;
    for (const { account, blocked } of client.state.people) {
      if (blocked) this.#do("forgiving", () => client.setBlocked(account, false));
    }
  }

  /** Devices that are gone for good are waited for in vain. */
  #hurry(): void {
    this.#hurried ||= this.#house.room?.restoring.active === true;
    this.#do("the waiting ends", () => this.#house.finish());
  }

  async #check(): Promise<void> {
    let done = false;
    this.#do("the last look", async () => {
      await this.#ending.check();
      done = true;
    });
    await this.course.run(this.course.now + 20_000);
    if (this.course.failure) throw this.course.failure;
    if (!done) throw new Error("the last look did not come to its end");
  }

  [Symbol.dispose](): void {
    this.course[Symbol.dispose]();
    this.#server[Symbol.dispose]();
    this.#disk[Symbol.dispose]();
  }
}

const rulingSteps = [
  "add-device",
  "block",
  "unblock",
  "role",
  "end-device",
  "remove",
  "revoke-invites",
] as const;
type RulingStep = (typeof rulingSteps)[number];

function isRuling(step: Step): step is Extract<Step, { is: RulingStep }> {
  return (rulingSteps as readonly string[]).includes(step.is);
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

function raise(why: string): never {
  throw new Error(why);
}
