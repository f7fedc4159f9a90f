import type { Client, ClientState, Person } from "@snug/client";
import type { AccountId } from "@snug/protocol";
import { createContext, useContext, useSyncExternalStore } from "react";

/** The state of somebody who is in: what every screen behind the door works with. */
export type Joined = Extract<ClientState, { phase: "joined" }>;

export const ClientContext = createContext<Client | null>(null);

export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error("used outside of an open session");
  return client;
}

export function useClientState(): ClientState {
  const client = useClient();
  return useSyncExternalStore(
    (listener) => client.subscribe(listener),
    () => client.state,
  );
}

export const JoinedContext = createContext<Joined | null>(null);

export function useJoined(): Joined {
  const joined = useContext(JoinedContext);
  if (!joined) throw new Error("used before joining");
  return joined;
}

/** Somebody of the directory; undefined for an id that nobody here has. */
export function usePerson(account: AccountId): Person | undefined {
  return useJoined().people.find((person) => person.account === account);
}

/** What a person reads of a failure: our errors say what to do, the rest says at least what happened. */
export function inWords(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
