import type { Quota } from "../../packages/server/src/store/store.ts";
import { Chance } from "./chance.ts";
import { type Death, deaths, losses } from "./device.ts";

/** One thing that happens, with all that chance decides about it: leaving it out moves nothing else. */
export type Step = {
  readonly at: number;
  /** Which device of the person, where there are several. */
  readonly on?: number;
} & (
  | {
      readonly is: "write";
      readonly from: number;
      readonly to: number;
      readonly sizes: readonly number[];
      readonly expires: boolean;
    }
  | {
      readonly is: "lose";
      readonly who: number;
      readonly loss: (typeof losses)[number];
      readonly lasts: number;
      readonly told: boolean;
    }
  | { readonly is: "kill"; readonly who: number; readonly how: Death; readonly lasts: number }
  | { readonly is: "quit" | "sleep" | "stop-reading"; readonly who: number; readonly lasts: number }
  | {
      readonly is: "weather";
      readonly who: number;
      readonly latency: number;
      readonly spread: number;
      readonly rate: number;
    }
  | { readonly is: "refuse"; readonly who: number; readonly commits: number }
  | { readonly is: "turn-clock"; readonly who: number; readonly by: number }
  | { readonly is: "turn-server-clock"; readonly by: number }
  | { readonly is: "crash" | "stop"; readonly lasts: number }
  | { readonly is: "fail-disk"; readonly fault: "full" | "fails"; readonly lasts: number }
  | { readonly is: "sweep" }
  | { readonly is: "change-keys"; readonly who: number; readonly lasts: number }
  | { readonly is: "accept-keys" | "mark-read"; readonly who: number }
  | { readonly is: "sign-out" | "leave"; readonly who: number }
  | { readonly is: "add-device" | "end-device" | "remove" | "revoke-invites"; readonly who: number }
  | { readonly is: "block" | "unblock"; readonly who: number; readonly whom: number }
  | { readonly is: "role"; readonly who: number; readonly role: "admin" | "member" }
  | { readonly is: "rotate-log-key" | "back-up" | "finish" }
  | {
      readonly is: "restore";
      /** How long the server is away, ms. */
      readonly lasts: number;
      /** How long it runs before it is adopted, ms; null: it is restored at once. */
      readonly byHand: number | null;
    }
);

/** What a course is made of, all from its seed. */
export interface Script {
  readonly seed: number;
  readonly people: number;
  /** When each asks to come in, ms. */
  readonly joins: readonly number[];
  readonly quota: Quota;
  /** How long the server's reads take at most, mostly; ms before and after they see what is stored. */
  readonly reads: number;
  readonly steps: readonly Step[];
  /** How many people an invite is made for. */
  readonly inviteUses: number;
  /** In the end everybody takes letters of everybody again. */
  readonly forgives: boolean;
  /** When everything is made good, ms. */
  readonly heals: number;
}

const hour = 3_600_000;
const weights = {
  write: 44,
  lose: 11,
  kill: 8,
  quit: 2,
  sleep: 3,
  "stop-reading": 4,
  weather: 7,
  refuse: 1.5,
  "turn-clock": 2,
  "turn-server-clock": 2,
  crash: 5,
  stop: 1.5,
  "fail-disk": 3,
  sweep: 3,
  "change-keys": 1.2,
  "accept-keys": 3,
  "mark-read": 1.5,
  "sign-out": 0.4,
  leave: 0.4,
} as const;

/** What is ruled, renewed and restored, beside what goes wrong. */
const rulings = {
  "add-device": 8,
  block: 7,
  unblock: 4,
  "end-device": 2,
  remove: 1.5,
  role: 4,
  "revoke-invites": 2,
  "rotate-log-key": 2,
  "back-up": 6,
  restore: 4,
  finish: 1,
} as const;

/**
 * The script of a seed. One of three is without rulings: their devices, line and disk fail, and nothing else; the other
 * two have several devices of one account, administrators, blocks and restores besides.
 */
export function scriptOf(seed: number): Script {
  const plain = plainScriptOf(seed);
  return seed % 3 === 1 ? plain : withRulings(plain);
}

function withRulings(script: Script): Script {
  const chance = new Chance(`rulings ${script.seed}`);
  const from = script.joins.length * 4_000;
  const until = script.heals;
  const added = Array.from({ length: chance.int(4, 30) }, () =>
    rulingOf(chance, script.people, from + chance.next() * Math.max(0, until - from)),
  );
  const steps = script.steps.map((step) => ({ ...step, on: chance.int(0, 2) }));
  return {
    ...script,
    steps: [...steps, ...added].sort((a, b) => a.at - b.at),
    inviteUses: chance.pick([1, 1, 3]),
    forgives: chance.is(0.7),
  };
}

function rulingOf(chance: Chance, people: number, at: number): Step {
  const is = chance.weighted(rulings);
  const who = chance.int(0, people - 1);
  const on = chance.int(0, 2);
  switch (is) {
    case "block":
    case "unblock":
      return { at, is, who, on, whom: (who + chance.int(1, people - 1)) % people };
    case "role":
      return { at, is, who, role: chance.pick(["admin", "member"] as const) };
    case "restore": {
      const byHand = chance.is(0.3) ? chance.next() * 20_000 : null;
      return { at, is, lasts: chance.pick([100, 3_000, 25_000]) * chance.next(), byHand };
    }
    case "rotate-log-key":
    case "back-up":
    case "finish":
      return { at, is };
    case "add-device":
    case "end-device":
    case "remove":
    case "revoke-invites":
      return { at, is, who, on };
  }
}

function plainScriptOf(seed: number): Script {
  const chance = new Chance(`script ${seed}`);
  const people = chance.int(2, 5);
  const length = chance.pick([30_000, 120_000, 300_000]);
  const count = chance.int(10, 90);
  const times = Array.from({ length: count }, () => 5_000 + chance.next() * length).sort((a, b) => a - b);
  // Now and then many things at once.
  const steps = times.map((at) => stepOf(chance, people, chance.is(0.3) ? Math.round(at / 3000) * 3000 : at));
  return {
    seed,
    people,
    joins: Array.from({ length: people }, (_, at) => at * chance.next() * 4_000),
    quota: quotaOf(chance),
    reads: chance.pick([1, 5, 60, 600]),
    steps: steps.sort((a, b) => a.at - b.at),
    inviteUses: 1,
    forgives: true,
    heals: 5_000 + length + chance.next() * 20_000,
  };
}

/** Mostly room for everything; sometimes so little that it is used up at once, by all together or by one sender. */
function quotaOf(chance: Chance): Quota {
  const much = { rows: 10_000, bytes: 64 * 1024 * 1024 };
  const little = { rows: chance.int(2, 9), bytes: 600_000 };
  const own = chance.is(0.15) ? little : much;
  const all = chance.is(0.15) ? little : much;
  return { ...all, senderRows: Math.min(own.rows, all.rows), senderBytes: Math.min(own.bytes, all.bytes) };
}

function stepOf(chance: Chance, people: number, at: number): Step {
  const is = chance.weighted(weights);
  const who = chance.int(0, people - 1);
  const lasts = chance.pick([100, 3_000, 25_000, 70_000]) * chance.next();
  switch (is) {
    case "write": {
      const to = (who + chance.int(1, people - 1)) % people;
      const sizes = Array.from({ length: chance.pick([1, 1, 2, 5, 12]) }, () => sizeOf(chance));
      return { at, is, from: who, to, sizes, expires: chance.is(0.05) };
    }
    case "lose":
      return { at, is, who, lasts, loss: chance.pick(losses), told: chance.is(0.4) };
    case "kill":
      return { at, is, who, lasts, how: chance.pick(deaths) };
    case "quit":
    case "sleep":
    case "stop-reading":
      return { at, is, who, lasts };
    case "weather":
      return {
        at,
        is,
        who,
        latency: chance.pick([0, 5, 50, 400, 2_500]),
        spread: chance.pick([0, 10, 300, 2_000]),
        rate: chance.pick([5, 100, 10_000]),
      };
    case "refuse":
      return { at, is, who, commits: chance.int(1, 2) };
    case "turn-clock":
      return { at, is, who, by: turn(chance) };
    case "turn-server-clock":
      return { at, is, by: turn(chance) };
    case "crash":
    case "stop":
      return { at, is, lasts };
    case "fail-disk":
      return { at, is, lasts, fault: chance.pick(["full", "fails"] as const) };
    case "change-keys":
      return { at, is, who, lasts };
    case "sweep":
      return { at, is };
    case "accept-keys":
    case "mark-read":
    case "sign-out":
    case "leave":
      return { at, is, who };
  }
}

/** Most letters are short; some are as long as letters may be. */
function sizeOf(chance: Chance): number {
  return chance.is(0.04) ? 65_536 : chance.is(0.1) ? chance.int(2_000, 30_000) : chance.int(20, 300);
}

function turn(chance: Chance): number {
  return chance.pick([-40 * 24 * hour, -2 * hour, -1_000, 500, 90 * 60_000, 31 * 24 * hour]);
}
