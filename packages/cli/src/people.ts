import { awaitsLook } from "@snug/client";
import { CommandError, exitCodes } from "./exit.ts";
import { findPerson, type Joined, type Place, withConnection } from "./session.ts";
import { doubtWords, presenceWord, trustWord } from "./words.ts";

/** A line a person: name, presence, trust, unread letters, with tabs. */
export async function people(of: Place): Promise<void> {
  await withConnection(of.home, async (_, state) => {
    for (const person of state.people) {
      const unread = unreadOf(state, person.account);
      const { account, name, online, role, trust, removed, removedBy, blocked, notice } = person;
      await of.output.data(
        { name, account, online, role, trust, removed, removedBy, blocked, notice, unread },
        [name, presenceWord(person), trustWord(person), String(unread)].join("\t"),
      );
    }
  });
}

function unreadOf(state: Joined, account: string): number {
  return state.threads.find((thread) => thread.account === account)?.unread ?? 0;
}

/** Refuses somebody's letters from now on, or takes them again. */
export async function block(of: Place & { readonly name: string; readonly blocked: boolean }): Promise<void> {
  await withConnection(of.home, async (client, state) => {
    const { account, name } = findPerson(state.people, of.name);
    const { blocked } = of;
    await client.setBlocked(account, blocked);
    await of.output.data({ account, name, blocked }, `${name}\t${blocked ? "blocked" : "not blocked"}`);
  });
}

/**
 * Prints the safety number; with `yes` (it was compared) the person is verified, with new keys if they changed.
 * Throws CommandError 6 when keys changed and nobody has compared the number yet.
 */
export async function verify(of: Place & { readonly name: string; readonly yes: boolean }): Promise<void> {
  await withConnection(of.home, async (client, state) => {
    const person = findPerson(state.people, of.name);
    const changed = awaitsLook(person);
    const safetyNumber = await client.safetyNumber(person.account);
    if (of.yes) {
      if (changed) await client.acceptNewKeys(person.account);
      await client.setVerified(person.account, true);
    }
    await of.output.data(
      {
        name: person.name,
        account: person.account,
        safetyNumber,
        verified: of.yes || person.trust.how === "verified",
      },
      safetyNumber,
    );
    if (of.yes) {
      of.output.say(`${person.name} is verified.`);
    } else if (changed) {
      throw new CommandError(
        exitCodes.verification,
        `the keys of ${person.name} ${doubtWords(person)}; compare this number with theirs, then: snug verify ${person.name} --yes`,
      );
    } else {
      of.output.say(
        `Compare it with the number that ${person.name} sees, then: snug verify ${person.name} --yes`,
      );
    }
  });
}
