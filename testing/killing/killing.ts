import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { openNodeClient } from "@snug/client/node";
import type { AccountId } from "@snug/protocol";
import { eventually } from "../browser.ts";
import { ServedServer } from "../served.ts";
import { compareTexts, type Findings, sumOf } from "./findings.ts";
import type { ClientsOrder, ClientsWord, LoadOrder, LoadWord } from "./orders.ts";

/** Acknowledgements between two kills of the server: at least, and so many more by chance. */
const burst = { least: 40, more: 800 } as const;
/** So many kills of the server for each kill of a process of clients. */
const killsPerClientKill = 4;

/** What came of killing a server under load. Times in ms. */
export interface Killed extends Findings {
  readonly kills: number;
  readonly clientKills: number;
  /** Submits without an answer at each kill. */
  readonly inFlight: readonly number[];
  /** From each kill to the first submit that is accepted again. */
  readonly restarts: readonly number[];
}

/**
 * Kills the server's own process, again and again, while people in other processes write to each other: three without a
 * client's care who keep many submits in flight, and two pairs of real clients. Half of those are in a process that is
 * killed too. At the end what was promised is held against what is there.
 */
export async function killRepeatedly(of: {
  readonly times: number;
  readonly seed: number;
  readonly progress?: (line: string) => void;
}): Promise<Killed> {
  await using started = new AsyncDisposableStack();
  const served = started.use(await ServedServer.start());
  const invite = await foundRoom(served);
  const steady = started.use(new Clients(served.folder, ["Ada", "Cleo"], invite));
  const killed = started.use(new Clients(served.folder, ["Ben", "Dora"], invite));
  const load = started.use(new Load());
  const { localUrl, serverId } = served.listening;
  await steady.open();
  await killed.open();
  await load.ask({ order: "begin", place: { localUrl, serverId }, link: invite }, "begun");
  steady.write(killed.accounts);
  killed.write(steady.accounts);

  const chance = seeded(of.seed);
  const inFlight: number[] = [];
  const restarts: number[] = [];
  let clientKills = 0;
  for (let kill = 1; kill <= of.times; kill++) {
    const cut = load.hear("cut");
    const acknowledgements = burst.least + chance(burst.more);
    const { at } = await load.ask({ order: "kill", pid: served.pid, acknowledgements }, "killed");
    // The same moment for both, every few times: a device and the server may lose power together.
    const clientsGone = kill % killsPerClientKill === 0 ? killed.kill() : null;
    await served.restart("SIGKILL");
    inFlight.push((await cut).inFlight);
    restarts.push((await load.ask({ order: "again" }, "accepted")).at - at);
    steady.tell({ order: "again" });
    killed.tell({ order: "again" });
    if (clientsGone) {
      clientKills++;
      // Their homes are theirs until then.
      await clientsGone;
      await killed.open();
      killed.write(steady.accounts);
    }
    of.progress?.(`kill ${kill} of ${of.times}: ${inFlight.at(-1)} in flight`);
  }
  const { findings } = await load.ask({ order: "end" }, "ended");
  await Promise.all([steady.rest(), killed.rest()]);
  const shown = [await compareClients(steady, killed), await compareClients(killed, steady)];
  const all = sumOf([findings, ...shown.flat(), steady.findings, killed.findings]);
  return { ...all, kills: of.times, clientKills, inFlight, restarts };
}

/** An administrator whom nobody needs again makes an invite for everybody. */
async function foundRoom(served: ServedServer): Promise<string> {
  const admin = await openNodeClient({ home: join(served.folder, "Admin") });
  try {
    await admin.join({ link: served.listening.setupLink ?? "", name: "Admin" });
    return await admin.invite({ uses: 100 });
  } finally {
    await admin.close();
  }
}

/** What the ones show of the others' letters, once all that was promised has had its time to arrive. */
async function compareClients(writers: Clients, readers: Clients): Promise<Findings[]> {
  const compare = async (): Promise<Findings[]> => {
    const shown = await readers.show();
    return writers.accounts.map((_, by) =>
      compareTexts({
        promised: writers.kept[by] ?? [],
        acknowledged: writers.acknowledged[by] ?? 0,
        shown: shown[by] ?? [],
      }),
    );
  };
  await eventually("all letters have arrived", async () =>
    (await compare()).every(({ lost }) => lost.length === 0),
  ).catch(() => undefined);
  return compare();
}

/** A process of its own that takes orders and says words. */
abstract class Worker<Order extends object, Word extends { readonly word: string }>
  implements AsyncDisposable
{
  readonly #script: string;
  #child: ChildProcess;
  readonly #waiting: { word: string; resolve: (word: never) => void; reject: (error: Error) => void }[] = [];

  constructor(script: string) {
    this.#script = script;
    this.#child = this.#start();
  }

  /** What happens to words that nobody waits for. */
  protected abstract take(word: Word): void;

  #start(): ChildProcess {
    const child = fork(new URL(this.#script, import.meta.url));
    child.on("message", (message) => {
      const word = message as Word;
      const at = this.#waiting.findIndex((waiting) => waiting.word === word.word);
      const [found] = at < 0 ? [] : this.#waiting.splice(at, 1);
      if (found) found.resolve(word as never);
      else this.take(word);
    });
    child.once("exit", (code, signal) => {
      if (this.#child !== child) return;
      const error = new Error(`${this.#script} ended with ${code ?? signal}`);
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
    return child;
  }

  tell(order: Order): void {
    if (!this.#child.connected) throw new Error(`${this.#script} has ended`);
    this.#child.send(order);
  }

  hear<W extends Word["word"]>(word: W): Promise<Extract<Word, { word: W }>> {
    return new Promise((resolve, reject) => this.#waiting.push({ word, resolve, reject }));
  }

  ask<W extends Word["word"]>(order: Order, word: W): Promise<Extract<Word, { word: W }>> {
    const heard = this.hear(word);
    this.tell(order);
    return heard;
  }

  /** Without a chance to tidy up; another process takes its place. Resolves when the former is gone. */
  protected async replace(): Promise<void> {
    const former = this.#child;
    this.#child = this.#start();
    await endAtOnce(former);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endAtOnce(this.#child);
  }
}

async function endAtOnce(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

class Load extends Worker<LoadOrder, LoadWord> {
  constructor() {
    super("./load.ts");
  }

  /** Only asked for words matter here. */
  protected take(): void {
    return;
  }
}

class Clients extends Worker<ClientsOrder, ClientsWord> {
  accounts: readonly AccountId[] = [];
  /** Texts whose `send` has resolved, by writer. */
  readonly kept: string[][];
  readonly acknowledged: number[];
  readonly #faults: string[] = [];
  readonly #open: Extract<ClientsOrder, { order: "open" }>;
  #life = 0;

  constructor(folder: string, names: readonly string[], link: string) {
    super("./clients.ts");
    this.#open = { order: "open", homes: names.map((name) => ({ folder: join(folder, name), name })), link };
    this.kept = names.map(() => []);
    this.acknowledged = names.map(() => 0);
  }

  get findings(): Findings {
    return { acknowledged: 0, lost: [], twice: [], outOfOrder: [], faults: this.#faults };
  }

  protected take(word: ClientsWord): void {
    if (word.word === "fault") this.#faults.push(word.what);
    else if (word.word === "kept") this.kept[word.by]?.push(word.text);
    else if (word.word === "acknowledged") {
      this.acknowledged[word.by] = (this.acknowledged[word.by] ?? 0) + 1;
    }
  }

  async open(): Promise<void> {
    this.accounts = (await this.ask(this.#open, "open")).accounts;
  }

  write(partners: readonly AccountId[]): void {
    this.tell({ order: "write", partners, life: ++this.#life });
  }

  kill(): Promise<void> {
    return this.replace();
  }

  async rest(): Promise<void> {
    await this.ask({ order: "rest" }, "resting");
  }

  async show(): Promise<readonly (readonly string[])[]> {
    return (await this.ask({ order: "show" }, "shown")).texts;
  }
}

/** Numbers below a bound, the same ones for the same seed (a linear congruence, Numerical Recipes §7.1). */
function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
