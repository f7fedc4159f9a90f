import type { AccountId } from "@snug/protocol";
import type { Findings } from "./findings.ts";

/** Where the server is, for another process. */
export interface Place {
  readonly localUrl: string;
  readonly serverId: string;
}

/** What the load is told. */
export type LoadOrder =
  /** Join by an open invite, and begin. */
  | { readonly order: "begin"; readonly place: Place; readonly link: string }
  /** Kill this process at the very moment when so many acknowledgements have come. */
  | { readonly order: "kill"; readonly pid: number; readonly acknowledgements: number }
  /** The server listens again. */
  | { readonly order: "again" }
  /** Write nothing new, wait for all answers, read everything back. */
  | { readonly order: "end" };

export type LoadWord =
  | { readonly word: "begun" }
  /** In ms since 1970. */
  | { readonly word: "killed"; readonly at: number }
  /** The connection broke, with so many submits unanswered. */
  | { readonly word: "cut"; readonly inFlight: number }
  /** The first acknowledgement after a cut; ms since 1970. */
  | { readonly word: "accepted"; readonly at: number }
  | { readonly word: "ended"; readonly findings: Findings };

/** What a process of clients is told. */
export type ClientsOrder =
  /** Open these homes; who has no account yet joins by the link. */
  | { readonly order: "open"; readonly homes: readonly Home[]; readonly link: string }
  /** Write to the partners, without end. */
  | { readonly order: "write"; readonly partners: readonly AccountId[]; readonly life: number }
  | { readonly order: "again" }
  | { readonly order: "rest" }
  /** Say what is shown of each partner's letters. */
  | { readonly order: "show" };

export interface Home {
  readonly folder: string;
  readonly name: string;
}

export type ClientsWord =
  | { readonly word: "open"; readonly accounts: readonly AccountId[] }
  /** `send` has resolved: from here on the letter may not get lost. */
  | { readonly word: "kept"; readonly by: number; readonly text: string }
  /** It has left the outbox: the server acknowledged it. */
  | { readonly word: "acknowledged"; readonly by: number; readonly text: string }
  | { readonly word: "resting" }
  | { readonly word: "shown"; readonly texts: readonly (readonly string[])[] }
  /** Something that must not be: a letter announced twice, a client that stopped. */
  | { readonly word: "fault"; readonly what: string };
