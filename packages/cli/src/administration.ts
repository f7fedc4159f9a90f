import type { DeviceView, Person } from "@snug/client";
import { confirm } from "./confirm.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { harmlessLine } from "./output.ts";
import { findPerson, type Joined, type Place, withConnection } from "./session.ts";
import { typedId } from "./typedId.ts";

/** Removes an account by a statement that everybody sees, after a question. Throws CommandError 1, 2 or 5. */
export async function removePerson(
  of: Place & { readonly name: string; readonly yes: boolean },
): Promise<void> {
  await withConnection(of.home, async (client, state) => {
    const person = other(state, of.name);
    mustRule(state);
    if (!of.yes) {
      const question = `Remove ${harmlessLine(person.name)} from ${state.server.name} for good? Everybody is told.`;
      await confirm("people remove", { question, expected: person.name });
    }
    await client.removeAccount(person.account);
    await of.output.data(
      { account: person.account, name: person.name, removed: true },
      `${person.name} was removed from ${state.server.name}.`,
    );
  });
}

/** Makes somebody an administrator, or a member again. Throws CommandError 1 or 5. */
export async function setRole(
  of: Place & { readonly name: string; readonly role: "admin" | "member" },
): Promise<void> {
  await withConnection(of.home, async (client, state) => {
    const person = findPerson(state.people, of.name);
    mustRule(state);
    await client.setRole(person.account, of.role);
    const role = of.role === "admin" ? "an administrator" : "a member";
    await of.output.data(
      { account: person.account, name: person.name, role: of.role },
      `${person.name} is ${role} now.`,
    );
  });
}

/** A line a device: id, rights, when it was added, when it ends, with tabs. */
export async function listDevices(of: Place & { readonly name: string | undefined }): Promise<void> {
  await withConnection(of.home, async (client, state) => {
    const person = of.name === undefined ? undefined : findPerson(state.people, of.name);
    const account = person?.account ?? state.me.account;
    for (const view of await client.devices(account)) {
      const { device, rights, added, ends, endedBy } = view;
      const here = device === state.me.device;
      const id = typedId(device);
      const times = { added: day(added), ends: ends === null ? null : new Date(ends).toISOString() };
      await of.output.data(
        { account, device, id, rights, ...times, endedBy, here },
        [id, rights, times.added, endOf(view), ...(here ? ["this one"] : [])].join("\t"),
      );
    }
  });
}

/** Ends somebody's device by a statement that everybody sees, after a question. Throws CommandError 1, 2 or 5. */
export async function endDevice(
  of: Place & { readonly name: string; readonly device: string; readonly yes: boolean },
): Promise<void> {
  await withConnection(of.home, async (client, state) => {
    const person = other(state, of.name);
    mustRule(state);
    const active = (await client.devices(person.account)).filter(({ endedBy }) => endedBy === null);
    const found = active.filter(({ device }) => typedId(device).startsWith(of.device));
    const [view] = found;
    if (!view || found.length > 1) {
      const many = found.length > 1 ? `${found.length} devices begin` : "no device of theirs begins";
      throw new CommandError(
        exitCodes.notFound,
        `${many} with ${of.device}; see: snug devices ${person.name}`,
      );
    }
    const id = typedId(view.device);
    if (!of.yes) {
      const only = active.length === 1 ? " It is their only one: nobody comes in as them any more." : "";
      const question = `End the device ${id} of ${harmlessLine(person.name)} for good?${only} Everybody is told.`;
      await confirm("devices end", { question, expected: person.name });
    }
    await client.endDevice(person.account, view.device);
    await of.output.data(
      { account: person.account, name: person.name, device: view.device, id, ended: true },
      `The device ${id} of ${person.name} was ended.`,
    );
  });
}

/** The person of that name, who is not oneself and is still here. Throws CommandError 1 or 5. */
function other(state: Joined, name: string): Person {
  const person = findPerson(state.people, name);
  if (person.account === state.me.account) {
    throw new CommandError(exitCodes.failed, "that is you: see snug leave");
  }
  if (person.removed)
    throw new CommandError(exitCodes.notFound, `${person.name} is not on this server any more`);
  return person;
}

/** Throws CommandError 1: a script must not take it for a failed verification. */
function mustRule(state: Joined): void {
  if (state.me.role === "admin") return;
  throw new CommandError(exitCodes.failed, "only an administrator of this server may do this");
}

function endOf({ ends, endedBy }: DeviceView): string {
  if (endedBy !== null) return "ended";
  return ends === null ? "no end" : `ends ${new Date(ends).toISOString().slice(0, 10)}`;
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
