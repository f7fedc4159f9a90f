import { adviceOf, type Client, type ClientState, NetworkError, type Person } from "@snug/client";
import { CommandError, exitCodes } from "./exit.ts";
import { exitCodeOfStop } from "./failures.ts";
import type { Output } from "./output.ts";

/** Milliseconds without any sign of the server after which a command gives up. */
const PATIENCE = 20_000;

/** Where a command runs: the client's state folder, and its way to speak. */
export interface Place {
  readonly home: string;
  readonly output: Output;
}

export type Joined = Extract<ClientState, { phase: "joined" }>;

/** Opens the client kept in `home`, and closes it whatever happens. */
export async function withClient<T>(home: string, use: (client: Client) => Promise<T>): Promise<T> {
  const { openNodeClient } = await import("@snug/client/node");
  const client = await openNodeClient({ home });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** {@link withClient}, once it is signed in. Throws CommandError 3, 4 or 6. */
export function withConnection<T>(
  home: string,
  use: (client: Client, state: Joined) => Promise<T>,
): Promise<T> {
  return withClient(home, async (client) => use(client, await connected(client)));
}

/**
 * For what this home has by itself: `use` comes after the connection, and without one all the same, since what is
 * stored stays readable. Throws what there was none for afterwards: CommandError 3, 4 or 6.
 */
export function withStored(home: string, use: (client: Client) => Promise<void>): Promise<void> {
  return withClient(home, async (client) => {
    joinedState(client.state);
    const outcome = connected(client);
    await outcome.catch(() => undefined);
    await use(client);
    await outcome;
  });
}

async function connected(client: Client): Promise<Joined> {
  joinedState(client.state);
  return until(client, whenOnline, "the server does not answer");
}

/** Throws CommandError 3 for a home without an account. */
export function joinedState(state: ClientState): Joined {
  if (state.phase === "joined") return state;
  throw notJoined(state);
}

export function notJoined(state: Exclude<ClientState, Joined>): CommandError {
  const why = state.phase === "ended" ? state.why : "this home has no account yet";
  return new CommandError(exitCodes.notJoined, `${why}; join with: snug join LINK --name NAME`);
}

/** The first value that `look` finds in the state; NetworkError with `otherwise` when nothing changes for too long. */
export async function until<T>(
  client: Client,
  look: (state: ClientState) => T | undefined,
  otherwise: string,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => reject(new NetworkError(otherwise)), PATIENCE);
  const check = (): void => {
    // Progress: a long absence brings many letters.
    timer.refresh();
    try {
      const found = look(client.state);
      if (found !== undefined) resolve(found);
    } catch (error) {
      reject(error);
    }
  };
  const unsubscribe = client.subscribe(check);
  check();
  try {
    return await promise;
  } finally {
    unsubscribe();
    clearTimeout(timer);
  }
}

/** For {@link until}: the state once signed in. A failed attempt is an answer too: scripts don't wait for retries. */
function whenOnline(state: ClientState): Joined | undefined {
  const joined = joinedState(state);
  const { connection } = joined;
  if (connection.is === "offline") {
    throw connection.byDisk
      ? new CommandError(exitCodes.disk, connection.why)
      : new NetworkError(connection.why);
  }
  if (connection.is === "stopped") {
    throw new CommandError(exitCodeOfStop(connection.code), `${connection.why}. ${adviceOf(connection)}`);
  }
  return connection.is === "online" ? joined : undefined;
}

/** Waits for something the server must do; NetworkError once the connection is lost or it takes too long. */
export async function whileConnected<T>(client: Client, work: Promise<T>): Promise<T> {
  const { promise: broken, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new NetworkError("the server does not answer")), PATIENCE);
  const unsubscribe = client.subscribe(() => {
    try {
      whenOnline(client.state);
    } catch (error) {
      reject(error);
    }
  });
  try {
    return await Promise.race([work, broken]);
  } finally {
    unsubscribe();
    clearTimeout(timer);
  }
}

/** The one person of that name. Throws CommandError 5. */
export function findPerson(people: readonly Person[], name: string): Person {
  const wanted = foldName(name);
  const found = people.filter((person) => foldName(person.name) === wanted);
  const [person] = found;
  if (person === undefined) throw new CommandError(exitCodes.notFound, `nobody here is called ${name}`);
  if (found.length > 1) {
    throw new CommandError(exitCodes.notFound, `${found.length} people here are called ${name}`);
  }
  return person;
}

/** A name or title as it is compared: NFKC, without case. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase().normalize("NFKC");
}
