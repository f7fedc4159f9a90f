import { decodeServerFrame, toBase64url } from "@snug/protocol";
import { type Pair, type Person, pair } from "../../packages/client/test/people.ts";
import { bendBytes } from "./bending.ts";
import { Chance, caseSeed } from "./chance.ts";
import { sent, serverFrame } from "./targets.ts";
import type { Pool } from "./values.ts";

export interface ClientReport {
  readonly cases: number;
  /** How often the client ended the link over a case, and how often it stopped for good. */
  readonly ended: number;
  readonly stopped: number;
  /** Notices that stood on the screen at the end. */
  readonly notices: number;
}

/**
 * A whole client whose server sends it cases: frames nobody asked for, and answers bent on the way. It may end the
 * link or stop; it never fails otherwise, believes nothing of it, and goes on with the honest server afterwards.
 * Throws what is a finding.
 */
export async function fuzzClient(of: {
  readonly cases: number;
  readonly seed: number;
}): Promise<ClientReport> {
  await using room = await pair();
  const { alice } = room;
  const before = picture(alice);
  const heard: Uint8Array[] = [];
  alice.platform.onReceived = (frame) => {
    if (heard.length < 50) heard.push(frame);
    return frame;
  };
  await talk(room, "before");
  const pool = poolOf(room, heard);
  let [ended, stopped] = [0, 0];
  for (let number = 0; number < of.cases; number++) {
    const chance = new Chance(caseSeed(of.seed + 2, number));
    if (chance.oneIn(4)) bendNext(alice, chance, heard);
    else alice.platform.inject(caseOf(chance, pool, heard));
    await new Promise((resolve) => setImmediate(resolve));
    if (alice.state.connection.is === "online") continue;
    alice.platform.onReceived = (frame) => frame;
    if (await comeBack(alice)) ended++;
    else stopped++;
  }
  alice.platform.onReceived = (frame) => frame;
  await comeBack(alice);
  await talk(room, "after");
  const now = picture(alice);
  if (now !== before) throw new Error(`the client believes other things:\n${before}\n${now}`);
  return { cases: of.cases, ended, stopped, notices: alice.state.notices.length };
}

/** What nobody but the people themselves may change: who is here, in what standing. */
function picture(person: Person): string {
  const { people, me, server } = person.state;
  const standing = people.map(({ account, name, role, trust, removed, newer }) => ({
    ...{ account, name, role, trust, removed, newer },
  }));
  return JSON.stringify({ standing, me, server: server.id });
}

function poolOf({ alice, bob }: Pair, heard: readonly Uint8Array[]): Pool {
  const { me, server } = alice.state;
  const said = heard.map(decodeServerFrame).flatMap((frame) => {
    if (frame.type !== "event" || frame.event.name !== "rows") return [];
    return frame.event.body.rows;
  });
  return {
    texts: [
      ...[me.account, me.device, bob.account, bob.state.me.device, server.id],
      ...said.flatMap(({ stream, incarnation, id, rowHash }) => [stream, incarnation, id, rowHash]),
    ],
    bytes: [new Uint8Array(32), ...said.flatMap(({ sealed }) => sealed ?? [])],
  };
}

/** Something made up, something heard before, or that with bytes changed. */
function caseOf(chance: Chance, pool: Pool, heard: readonly Uint8Array[]): Uint8Array {
  if (chance.oneIn(2)) return sent(serverFrame(chance, pool), chance, pool);
  const old = chance.pick(heard);
  return chance.oneIn(3) ? old : bendBytes(old, chance, chance.pick(heard));
}

/** The next frame that the server sends arrives otherwise; a request makes it send one. */
function bendNext(alice: Person, chance: Chance, heard: readonly Uint8Array[]): void {
  alice.platform.onReceived = (frame) => {
    alice.platform.onReceived = (later) => later;
    return bendBytes(frame, chance, chance.pick(heard));
  };
  alice.client.invite({ uses: 1 }).catch(() => undefined);
}

/** Goes back to the honest server; false when the client had stopped and had to be started again. */
async function comeBack(alice: Person): Promise<boolean> {
  let stopped = false;
  for (let wait = 10; ; wait *= 2) {
    const { connection } = alice.state;
    if (connection.is === "online") return !stopped;
    if (connection.is === "stopped") {
      stopped = true;
      await alice.restart();
    }
    // The client's clock alone, and never past an attempt under way that is only slow: the server's own time is real.
    alice.platform.advance(connection.is === "offline" ? 60_000 : 2_000);
    await moved(alice, connection.is, wait);
  }
}

/** Resolves when the connection is in another state, or after so many ms. */
function moved({ client }: Person, from: string, within: number): Promise<void> {
  return new Promise((resolve) => {
    const limit = setTimeout(() => done(), within);
    const stop = client.subscribe(() => {
      const { state } = client;
      if (state.phase === "joined" && state.connection.is !== from) done();
    });
    const done = (): void => {
      clearTimeout(limit);
      stop();
      resolve();
    };
  });
}

async function talk({ alice, bob }: Pair, when: string): Promise<void> {
  const words = `${when} ${toBase64url(crypto.getRandomValues(new Uint8Array(6)))}`;
  await bob.client.send(alice.account, words);
  await alice.until(words, () => alice.arrived.some(({ text }) => text === words));
  await alice.client.send(bob.account, words);
  await bob.until(words, () => bob.arrived.some(({ text }) => text === words));
}
