import { CommandError, exitCodes } from "./exit.ts";
import { type Place, withConnection } from "./session.ts";
import { typedId } from "./typedId.ts";

/** Prints a link for `uses` people, good for so many hours. */
export async function invite(of: Place & { readonly uses: number; readonly hours: number }): Promise<void> {
  await withConnection(of.home, async (client) => {
    const { uses, hours } = of;
    const link = await client.invite({ uses, hours });
    await of.output.data({ link, uses, hours }, link);
  });
}

/** A line an invite: its id, uses left, end, with tabs. */
export async function listInvites(of: Place): Promise<void> {
  await withConnection(of.home, async (client) => {
    for (const view of await client.invites()) {
      const { usesLeft } = view;
      const id = typedId(view.hash);
      const [created, ends] = [view.created, view.expires].map((time) => new Date(time).toISOString());
      await of.output.data({ id, usesLeft, created, ends }, [id, usesLeft, ends].join("\t"));
    }
  });
}

/** Ends the one open invite whose id begins so. Throws CommandError 5. */
export async function revokeInvite(of: Place & { readonly id: string }): Promise<void> {
  await withConnection(of.home, async (client) => {
    const found = (await client.invites()).filter((view) => typedId(view.hash).startsWith(of.id));
    const [one] = found;
    if (one === undefined || found.length > 1) {
      const many = found.length > 1 ? `${found.length} open invites begin` : "no open invite begins";
      throw new CommandError(exitCodes.notFound, `${many} with ${of.id}; snug invites lists them`);
    }
    await client.revokeInvite(one.hash);
    const id = typedId(one.hash);
    await of.output.data({ id, revoked: true }, `${id}\trevoked`);
  });
}
