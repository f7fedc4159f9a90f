import {
  awaitsLook,
  type Client,
  type Letter,
  NetworkError,
  type Person,
  senderEndWords,
  type Thread,
} from "@snug/client";
import { type AccountId, type MessageId, SnugError } from "@snug/protocol";
import { CommandError, exitCodes } from "./exit.ts";
import { exitCodeOf, exitCodeOfStop } from "./failures.ts";
import { readInput } from "./input.ts";
import { harmless, type Output } from "./output.ts";
import {
  findPerson,
  type Joined,
  joinedState,
  notJoined,
  type Place,
  whileConnected,
  withConnection,
  withStored,
} from "./session.ts";
import { connectionWords, doubtWords } from "./words.ts";

/** Letters asked for at once. */
const page = 100;

/** Sends one letter; resolves once the server has it on its disk. Throws CommandError 4, 5 or 6. */
export async function send(of: Place & { readonly name: string; readonly text: string }): Promise<void> {
  const text = of.text === "-" ? (await readInput()).replace(/\r\n/g, "\n").replace(/\n$/, "") : of.text;
  await withConnection(of.home, async (client, state) => {
    const person = findPerson(state.people, of.name);
    refuseRecipient(person);
    const id = await client.send(person.account, text);
    await settle(client, id);
    await of.output.data({ id, to: person.account, name: person.name, state: "accepted" }, id);
  });
}

function refuseRecipient(person: Person): void {
  if (person.removed)
    throw new CommandError(
      exitCodes.notFound,
      `${person.name} is no longer on this server; nothing was sent`,
    );
  if (person.blocked) {
    throw new CommandError(
      exitCodes.failed,
      `you have blocked ${person.name}; nothing was sent. See: snug unblock ${person.name}`,
    );
  }
  if (awaitsLook(person)) {
    throw new CommandError(
      exitCodes.verification,
      `the keys of ${person.name} ${doubtWords(person)}; nothing was sent. See: snug verify ${person.name}`,
    );
  }
}

/** The letter is in the outbox by now, and stays there: a failure only delays it, and nobody must write it again. */
async function settle(client: Client, id: MessageId): Promise<void> {
  try {
    await whileConnected(client, client.settled(id));
  } catch (cause) {
    const waits = "the letter waits in the outbox";
    if (cause instanceof NetworkError) {
      const what = `${cause.message}; ${waits} and leaves with the next command that connects`;
      throw new CommandError(exitCodes.network, what, { cause });
    }
    if (!(cause instanceof SnugError)) throw cause;
    throw new CommandError(exitCodeOf(cause), `${cause.message}; ${waits} until that changes`, { cause });
  }
}

/** Prints the unread letters, of one person or of everybody, then marks them read: those that are here, also without a server. */
export async function read(of: Place & { readonly name: string | undefined }): Promise<void> {
  await withStored(of.home, async (client) => {
    const { people } = joinedState(client.state);
    const person = of.name === undefined ? undefined : findPerson(people, of.name);
    await printUnread(client, of.output, person?.account);
  });
}

/** Prints unread letters, then each one as it comes, until SIGINT or SIGTERM. Printed letters are read ones. */
export async function tail(of: Place): Promise<void> {
  await withConnection(of.home, async (client) => {
    const ended = untilEnded(client, of.output);
    of.output.say("snug: waiting for letters; Ctrl-C ends");
    for (let letters = arrival(client); ; letters = arrival(client)) {
      await printUnread(client, of.output, undefined);
      const end = await Promise.race([letters, ended]);
      if (end === "signal") return;
      if (end !== "letter") throw end;
    }
  });
}

/** Resolves with the next letter that comes from now on. */
function arrival(client: Client): Promise<"letter"> {
  return new Promise((resolve) => {
    const stop = client.onLetter(() => {
      stop();
      resolve("letter");
    });
  });
}

/** Resolves on a signal, or with the reason when the connection stops for good. Says when it comes and goes. */
function untilEnded(client: Client, output: Output): Promise<"signal" | CommandError> {
  return new Promise((resolve) => {
    process.once("SIGINT", () => resolve("signal")).once("SIGTERM", () => resolve("signal"));
    let said = "online";
    client.subscribe(() => {
      const { state } = client;
      if (state.phase !== "joined") return resolve(notJoined(state));
      const { connection } = state;
      if (connection.is === "stopped") {
        resolve(new CommandError(exitCodeOfStop(connection.code), connection.why));
      } else if (connection.is !== said && connection.is !== "connecting") {
        said = connection.is;
        output.say(`snug: ${connectionWords(connection)}`);
      }
    });
  });
}

async function printUnread(client: Client, output: Output, only: AccountId | undefined): Promise<void> {
  const state = joinedState(client.state);
  const threads = state.threads.filter(
    (thread) => thread.unread > 0 && (only ?? thread.account) === thread.account,
  );
  const unread: Letter[] = [];
  for (const thread of threads) unread.push(...(await unreadOf(client, thread)));
  for (const letter of unread.sort((a, b) => a.order - b.order)) await printLetter(letter, state, output);
  for (const thread of threads) await client.markRead(thread.account);
}

/** A thread holds one's own letters too, so more of it may have to be looked at than is unread. */
async function unreadOf(client: Client, thread: Thread): Promise<readonly Letter[]> {
  const found: Letter[] = [];
  let before = Number.MAX_SAFE_INTEGER;
  while (found.length < thread.unread) {
    const letters = await client.letters({ thread: thread.account, before, most: page });
    found.unshift(...letters.filter((letter) => letter.state.is === "received"));
    const [oldest] = letters;
    if (oldest === undefined) break;
    before = oldest.order;
  }
  return found.slice(-thread.unread);
}

async function printLetter(letter: Letter, state: Joined, output: Output): Promise<void> {
  const from = state.people.find((person) => person.account === letter.from)?.name ?? letter.from;
  const gapBefore = letter.state.is === "received" && letter.state.gapBefore;
  if (gapBefore) output.say(`snug: letters of ${from} before this one are missing`);
  const words = senderEndWords(letter);
  if (words) output.say(`snug: of the next letter by ${from}: ${words}`);
  const { id, text, time, senderEnd } = letter;
  const at = new Date(time).toISOString();
  await output.data(
    { id, from, account: letter.from, time: at, text, gapBefore, senderEnd },
    // Every line break that a terminal could make of it is indented: a letter can't pass for two.
    `${at}\t${from}\t${harmless(text).replaceAll("\n", "\n\t\t")}`,
  );
}
