import type { Reach } from "@snug/client/node";
import { SnugError } from "@snug/protocol";
import { confirm } from "./confirm.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { readInput } from "./input.ts";
import { joinedState, notJoined, type Place, withClient, withConnection } from "./session.ts";

/** Makes an account by a link, and prints its recovery code: the only time that it is ever seen. */
export async function join(of: Place & { readonly link: string; readonly name: string }): Promise<void> {
  const link = of.link === "-" ? (await readInput()).trim() : of.link;
  await withClient(of.home, async (client) => {
    if (client.state.phase === "joined") {
      const { me, server } = client.state;
      throw new CommandError(
        exitCodes.failed,
        `this home already belongs to ${me.name} on ${server.origin}; use another --home`,
      );
    }
    const { recoveryCode } = await client.join({ link, name: of.name });
    const { me, server } = joinedState(client.state);
    of.output.say(`You are ${me.name} on ${server.name}.`);
    of.output.say("This is your recovery code. Write it down: it is shown once and kept nowhere.");
    await of.output.data(
      { account: me.account, name: me.name, server: server.id, recoveryCode },
      recoveryCode,
    );
  });
}

/** From now on this home reaches its server there. Throws CommandError 3, and what reaching it throws. */
export async function reach(of: Place & { readonly reach: Reach }): Promise<void> {
  const { reachServer } = await import("@snug/client/node");
  await reachServer(of).catch((error: unknown) => {
    if (error instanceof SnugError && error.code === "unauthenticated") throw notJoined({ phase: "new" });
    throw error;
  });
  of.output.say(`This home's server is at ${of.reach.origin} now.`);
}

/** Prints who this home is; asks no server. */
export async function whoami(of: Place): Promise<void> {
  await withClient(of.home, async (client) => {
    const { me, server } = joinedState(client.state);
    const { account, device, name, role } = me;
    await of.output.data(
      { name, role, account, device, server: { id: server.id, name: server.name, origin: server.origin } },
      [`name\t${name}`, `role\t${role}`, `server\t${server.origin}`, `account\t${account}`].join("\n"),
    );
  });
}

/** Removes the account from the server for good, after a question. */
export async function leave(of: Place & { readonly yes: boolean }): Promise<void> {
  await withConnection(of.home, async (client, { me, server }) => {
    if (!of.yes)
      await confirm("leave", {
        question: `Remove ${me.name} from ${server.name} for good?`,
        expected: me.name,
      });
    await client.leave();
    of.output.say(`${me.name} has left ${server.name}.`);
  });
}
