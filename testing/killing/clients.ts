/**
 * Real clients on real homes, in a process that may be killed at any moment. Takes {@link ClientsOrder}s, says
 * {@link ClientsWord}s.
 */
import { type Client, createClient } from "@snug/client";
import { nodePlatform, openNodeStore } from "@snug/client/node";
import type { AccountId } from "@snug/protocol";
import { textOf } from "./findings.ts";
import type { ClientsOrder, ClientsWord, Home } from "./orders.ts";

/** Letters of each writer that wait for the server's word. */
const window = 4;
const clients: Client[] = [];
const hints = new Set<() => void>();
let writing = true;
const writers: Promise<void>[] = [];

function say(word: ClientsWord): void {
  // Nobody listens: so this process ends in a moment.
  process.send?.(word, () => undefined);
}

async function open({ homes, link }: Extract<ClientsOrder, { order: "open" }>): Promise<void> {
  for (const home of homes) clients.push(await openHome(home, link));
  say({
    word: "open",
    accounts: clients.map(({ state }) => {
      if (state.phase !== "joined") throw new Error(`a client is ${state.phase}`);
      return state.me.account;
    }),
  });
}

async function openHome({ folder, name }: Home, link: string): Promise<Client> {
  // Its word that the network is back comes by order: the clients' own patience is tested elsewhere.
  const platform = {
    ...nodePlatform(),
    onNetwork: (listener: () => void) => {
      hints.add(listener);
      return () => hints.delete(listener);
    },
  };
  const client = await createClient({ store: await openNodeStore(folder), platform });
  const announced = new Set<string>();
  client.onLetter(({ id, text }) => {
    if (announced.has(id)) say({ word: "fault", what: `${name} was told of letter ${text} twice` });
    announced.add(id);
  });
  client.subscribe(() => {
    const { state } = client;
    if (state.phase !== "joined") return;
    if (state.connection.is === "stopped")
      say({ word: "fault", what: `${name} stopped: ${state.connection.why}` });
    for (const { level, text } of state.notices)
      if (level === "loud") say({ word: "fault", what: `${name} was told: ${text}` });
  });
  if (client.state.phase === "new") await client.join({ link, name });
  return client;
}

async function write(by: number, to: AccountId, life: number): Promise<void> {
  const client = clients[by];
  if (!client) throw new Error(`there is no client ${by}`);
  const waiting = new Set<Promise<void>>();
  for (let number = 0; writing; number++) {
    const text = textOf(life, number);
    const id = await client.send(to, text);
    say({ word: "kept", by, text });
    const settled = client
      .settled(id)
      .then(() => say({ word: "acknowledged", by, text }), fault)
      .finally(() => waiting.delete(settled));
    waiting.add(settled);
    if (waiting.size >= window) await Promise.race(waiting);
  }
  await Promise.all(waiting);
}

async function show(partners: readonly AccountId[]): Promise<void> {
  const texts = await Promise.all(
    clients.map(async (client, at) => {
      const thread = partners[at];
      if (!thread) return [];
      const letters = await client.letters({ thread, most: 1_000_000 });
      return letters.filter(({ from }) => from === thread).map(({ text }) => text);
    }),
  );
  say({ word: "shown", texts });
}

let partners: readonly AccountId[] = [];

async function take(order: ClientsOrder): Promise<void> {
  switch (order.order) {
    case "open":
      return open(order);
    case "write":
      partners = order.partners;
      for (const [by, to] of partners.entries()) writers.push(write(by, to, order.life).catch(fault));
      return;
    case "again":
      for (const hint of hints) hint();
      return;
    case "rest":
      writing = false;
      await Promise.all(writers);
      say({ word: "resting" });
      return;
    case "show":
      return show(partners);
  }
}

function fault(error: unknown): void {
  say({ word: "fault", what: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

process.on("message", (message) => {
  take(message as ClientsOrder).catch(fault);
});
// Whoever gave the orders is gone.
process.on("disconnect", () => process.exit());
