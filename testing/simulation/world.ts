import { type Client, type ClientState, NetworkError } from "@snug/client";
import { keyIdOf, nextHead, serverIdOf } from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
import {
  decodeCbor,
  decodeStatement,
  Ed25519Public,
  encodeCbor,
  type GenesisBody,
  SnugError,
  sha256,
} from "@snug/protocol";
import type { LogKeys } from "../../packages/server/src/logKey.ts";
import { Chance } from "./chance.ts";
import { Course } from "./course.ts";
import { type Death, Device } from "./device.ts";
import { House } from "./house.ts";
import type { KeyPool } from "./keyPool.ts";
import { LetterPromises } from "./letterPromises.ts";
import type { Script, Step } from "./script.ts";
import { ServerDisk } from "./serverDisk.ts";
import { ServerPromises } from "./serverPromises.ts";

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
  readonly #disk: ServerDisk;
  readonly #house: House;
  readonly #devices: readonly Device[];
  readonly #server: ServerPromises;
  readonly #letters: LetterPromises;
  readonly #links = new Map<Device, string>();
  readonly #refused = new Set<Device>();
  #healed = false;
  #refusals = 0;

  constructor(script: Script, of: { readonly keys: KeyPool; readonly logKeys: LogKeys }) {
    this.#script = script;
    const chance = new Chance(`course ${script.seed}`);
    let date = (): number => epoch;
    this.course = new Course({ chance, keys: of.keys, date: () => date() });
    const { course } = this;
    const broken = (why: string): void => course.fail(why);
    this.#disk = new ServerDisk({
      ...{ course, chance: chance.of("server disk"), quota: script.quota },
      watcher: {
        before: (calls) => this.#server.before(calls),
        committed: (calls, results) => this.#server.committed(calls, results),
        told: (results) => this.#server.told(results),
      },
    });
    this.#server = new ServerPromises({
      ...{ path: this.#disk.path, quota: script.quota, broken },
      stored: (device) =>
        this.#devices.find(({ lastRoom, ended }) => !ended && lastRoom?.device === device)?.position,
    });
    this.#letters = new LetterPromises({ broken, server: () => this.#server });
    this.#house = new House({
      course,
      chance: chance.of("reads"),
      reads: script.reads,
      disk: this.#disk,
      key: of.logKeys,
      clock: epoch,
    });
    date = () => this.#house.now();
    this.#devices = names.slice(0, script.people).map((name) => this.#makeDevice(name, chance.of(name)));
  }

  #makeDevice(name: string, chance: Chance): Device {
    const { course } = this;
    const device: Device = new Device({
      ...{ name, course, chance, house: this.#house, clock: epoch + chance.int(-5_000, 5_000) },
      watcher: {
        committed: (changes) => this.#letters.committed(device, changes),
        shown: (letter) => this.#letters.shown(device, letter),
        changed: (state) => this.#changed(device, state),
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
        this.#comeIn(device);
      });
    });
    for (const step of this.#script.steps) course.after(step.at, () => this.#step(step));
    await course.run(this.#script.heals);
    await this.#heal();
  }

  /** Work of the course's own; whatever it rejects with must be typed, or is the simulation's doing. */
  #do(what: string, work: () => Promise<unknown>): void {
    work().catch((error: unknown) => {
      const isTyped = error instanceof SnugError || error instanceof NetworkError;
      if (!isTyped && !/no space left/.test(String(error))) this.course.fail(`${what}: ${textOf(error)}`);
      this.course.trace("refusal", `${what}: ${error instanceof SnugError ? error.code : "no connection"}`);
    });
  }

  /** Asks to come in until it is done, also over the end of its program; a link that became void is replaced. */
  #comeIn(device: Device): void {
    const { client } = device;
    if (device.lastRoom && client?.state.phase === "joined") return;
    this.course.after(2_000, () => this.#comeIn(device));
    if (client?.state.phase !== "new") return;
    this.#join(device, client).catch((error: unknown) => {
      const code = error instanceof SnugError ? error.code : "";
      // A restart voids the setup link, and clocks that are turned end invites.
      if (code === "invite-invalid") this.#links.delete(device);
      else if (
        !(error instanceof NetworkError) &&
        !["unavailable", "conflict"].includes(code) &&
        !/no space left/.test(String(error))
      ) {
        this.course.fail(`${device.name} can't come in: ${textOf(error)}`);
      }
      this.course.trace(device.name, `is not in yet ${code}`);
    });
  }

  async #join(device: Device, client: Client): Promise<void> {
    const link = this.#links.get(device) ?? (await this.#linkFor(device));
    if (!link) return;
    this.#links.set(device, link);
    await client.join({ link, name: device.name });
  }

  async #linkFor(device: Device): Promise<string | null> {
    if (device === this.#devices[0]) return this.#house.room ? this.#house.setupLink() : null;
    const inviter = this.#devices.find(({ isOnline, ended }) => isOnline && !ended);
    return (await inviter?.client?.invite({ uses: 1 })) ?? null;
  }

  #changed(device: Device, state: ClientState): void {
    if (state.phase === "ended" && !device.ended) this.course.fail(`${device.name} ended: ${state.why}`);
    if (state.phase !== "joined") return;
    device.lastRoom ??= { account: state.me.account, device: state.me.device };
    const { connection } = state;
    device.traceState(connection.is);
    if (connection.is !== "stopped" || device.ended) return;
    if (connection.code !== "store" || !this.#refused.has(device)) {
      this.course.fail(`${device.name} stopped without a cause: ${connection.code}, ${connection.why}`);
      return;
    }
    this.course.after(4_000, () => this.#restart(device, 10));
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
        course.trace("server", `clock ${step.by}`);
        house.clock += step.by;
        return;
      case "crash":
        house.crash();
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
      default: {
        const device = this.#devices[step.who];
        if (device?.lastRoom && !device.ended) this.#stepOf(device, step);
      }
    }
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
        this.#refused.add(device);
        this.#refusals += step.commits;
        device.disk.refuses += step.commits;
        return;
      case "turn-clock":
        device.trace(`clock ${step.by}`);
        device.clock += step.by;
        return;
      case "change-keys":
        this.#do(`${device.name} changes keys`, () => this.#changeKeys(device, step.lasts));
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
    const { client } = device;
    if (!client || (how === "leave" && !device.isOnline)) return;
    // One stays, for the others to be invited by.
    if (this.#devices.filter(({ lastRoom, ended }) => lastRoom && !ended).length < 3) return;
    device.trace(how);
    device.ended = true;
    device.left = how === "leave";
    this.#do(how, () => (how === "leave" ? client.leave() : client.signOut()));
  }

  #write(step: Extract<Step, { is: "write" }>): void {
    const from = this.#devices[step.from];
    const to = this.#devices[step.to];
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

  /** New keys by the old signing key alone, from elsewhere, while this device is off. */
  async #changeKeys(device: Device, lasts: number): Promise<void> {
    const { room, keys } = { room: this.#house.room, keys: device.disk.keys };
    const { account: id } = device;
    const before = id && room?.log.member(id);
    if (!room || !keys || !before || before.history.length > 2 || device.locked) return;
    await device.quit();
    // Its program may have been killed before it had quit; what it had begun is over either way.
    device.locked = true;
    device.kill("power");
    const created = await createAccount({
      server: room.log.directory.server,
      display: "spare",
      invite: null,
      now: epoch,
    });
    const fresh = bodyOf(created.genesis);
    const statement = await signStatement({
      key: keys.signing,
      keyId: await keyIdOf(before.signing),
      head: nextHead(room.log.directory, id, this.#house.now()),
      kind: "rotate",
      body: {
        signing: fresh.signing,
        encryption: [...before.encryption.map(({ key }) => key), ...fresh.encryption],
      },
    });
    device.trace("changes keys");
    this.#do("a rotation", () => room.log.append(id, statement, this.#house.now()));
    await this.course.pause(10_000 + lasts);
    while (!this.#house.room) await this.course.pause(500);
    const hash = await sha256(statement);
    if (this.#house.room.log.directory.accounts.get(id)?.head === hash) {
      const encryption = [...keys.encryption, ...created.keys.encryption];
      device.disk.keys = { signing: created.keys.signing, encryption, device: keys.device };
      device.disk.write([{ table: "made", key: hash, value: encodeCbor({ kind: "rotate" }) }]);
    }
    device.locked = false;
    await device.start();
  }

  #acceptKeys(device: Device): void {
    const state = device.client?.state;
    for (const { account, trust } of state?.phase === "joined" ? state.people : []) {
      if (trust.how !== "key-changed") continue;
      this.#do("accepting keys", async () => device.client?.acceptNewKeys(account));
    }
  }

  /** Everything is made good; then every promise that was left open must be kept. */
  async #heal(): Promise<void> {
    const { course } = this;
    course.trace("world", "heals");
    this.#healed = true;
    this.#disk.fault = null;
    for (const device of this.#devices) {
      device.disk.refuses = 0;
      device.weather = { latency: 10, spread: 5, rate: 10_000 };
    }
    const end = course.now + patience;
    for (let round = 0; !this.#isDrained(); round++) {
      if (course.now > end) throw new Error(`not drained: ${this.#open().join("; ")}`);
      this.#up();
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
    if (!device.client && !device.ended) this.#do("starts", () => device.start());
  }

  #isDrained(): boolean {
    return this.#open().length === 0;
  }

  /** What is still to come, in words. */
  #open(): string[] {
    return this.#devices.flatMap((device) => {
      if (device.ended) return [];
      const { name, account } = device;
      if (!account || !device.isOnline) return [`${name} is not online`];
      const ended = new Set(
        this.#devices.filter((other) => other.ended).map((other) => other.account as string),
      );
      const waiting = device.disk
        .list("outbox")
        .map(([, value]) => decodeCbor(value, Number.POSITIVE_INFINITY) as Waiting)
        .filter(({ to, copyOf }) => !ended.has(copyOf ?? to));
      const behind = this.#server.head(account) - (device.position ?? 0);
      return [
        ...waiting.map(({ to, accepted, letter, sealed }) => {
          const other = this.#devices.find((device) => device.account === to);
          const counter = sealed === null ? "unsealed" : `counter ${sealed.counter}`;
          return `${name} to ${other?.name}: ${letter ?? "copy"}, ${counter}, ${accepted ? "accepted" : "waits"}`;
        }),
        ...(behind > 0 ? [`${name} lacks ${behind} rows`] : []),
      ];
    });
  }

  async #check(): Promise<void> {
    const alive = this.#devices.filter(({ ended }) => !ended);
    const checks = alive.flatMap((device) => {
      const { client } = device;
      if (!client) return [];
      const threads = this.#devices.map((other) =>
        this.#letters.checkThreads(device, other, { of: client, with: other.ended ? null : other.client }),
      );
      return [...threads, this.#letters.checkOrphans(device, client)];
    });
    let done = false;
    this.#do("the last look", async () => {
      await Promise.all(checks);
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

interface Waiting {
  readonly to: string;
  readonly copyOf: string | null;
  readonly accepted: boolean;
  readonly letter: number | null;
  readonly sealed: { readonly counter: number } | null;
}

function bodyOf(genesis: Uint8Array): GenesisBody {
  const { content } = decodeStatement(genesis);
  if (content.kind !== "genesis") throw new Error(`${content.kind} is no genesis`);
  return content.body;
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

function raise(why: string): never {
  throw new Error(why);
}
