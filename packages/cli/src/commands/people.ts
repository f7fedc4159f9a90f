import { limits } from "@snug/protocol/limits";
import { Argument, type Command } from "commander";
import { placeOf } from "../place.ts";
import { wholeNumber } from "../serveOptions.ts";

/** Hours. */
const longestInvite = limits.invite / 3_600_000;

/** Oneself and others: accounts, devices, invites. */
export function addAccountCommands(program: Command): void {
  const add = (name: string, description: string): Command =>
    program.command(name).description(description).helpGroup("You and others:");
  add("join", "make an account by a link")
    .argument("<link>", "setup link or invite; - reads it from stdin, where no other user sees it")
    .requiredOption("--name <name>", "your name on this server")
    .action(async (link: string, options: { name: string }, command: Command) => {
      const { join: joinServer } = await import("../account.ts");
      await joinServer({ ...placeOf(command), link, name: options.name });
    });
  add("whoami", "print your account").action(async (_, command: Command) => {
    const { whoami } = await import("../account.ts");
    await whoami(placeOf(command));
  });
  const people = add("people", "list who is here").action(async (_, command: Command) => {
    const { people } = await import("../people.ts");
    await people(placeOf(command));
  });
  addPeopleCommands(people);
  addDeviceCommands(
    add("devices", "list the devices of somebody").argument(
      "[name]",
      "yourself without; somebody called end: End",
    ),
  );
  add("verify", "print the safety number with somebody")
    .argument("<name>")
    .option("--yes", "the number was compared with theirs: mark them verified")
    .action(async (name: string, options: { yes?: true }, command: Command) => {
      const { verify } = await import("../people.ts");
      await verify({ ...placeOf(command), name, yes: options.yes === true });
    });
  add("invite", "print a link for somebody new")
    .option("--uses <number>", "how many people may use it", wholeNumber(1, limits.adminInviteUses), 1)
    .option("--hours <number>", "how long it is good", wholeNumber(1, longestInvite), longestInvite)
    .action(async (options: { uses: number; hours: number }, command: Command) => {
      const { invite } = await import("../invites.ts");
      await invite({ ...placeOf(command), ...options });
    });
  const invites = add("invites", "list your open invites").action(async (_, command: Command) => {
    const { listInvites } = await import("../invites.ts");
    await listInvites(placeOf(command));
  });
  invites
    .command("revoke")
    .description("end an invite: nobody joins by it any more")
    .argument("<id>", "its first letters, as the list has them")
    .action(async (id: string, _, command: Command) => {
      const { revokeInvite } = await import("../invites.ts");
      await revokeInvite({ ...placeOf(command), id });
    });
  for (const blocked of [true, false]) {
    add(
      blocked ? "block" : "unblock",
      blocked ? "take no more letters from somebody" : "take letters from somebody again",
    )
      .argument("<name>")
      .action(async (name: string, _, command: Command) => {
        const { block } = await import("../people.ts");
        await block({ ...placeOf(command), name, blocked });
      });
  }
  add("leave", "remove your account from the server for good")
    .option("--yes", "don't ask")
    .action(async (options: { yes?: true }, command: Command) => {
      const { leave } = await import("../account.ts");
      await leave({ ...placeOf(command), yes: options.yes === true });
    });
}

/** What only an administrator may do about others; everybody is told. */
function addPeopleCommands(people: Command): void {
  people
    .command("remove")
    .description("remove somebody's account for good (administrators)")
    .argument("<name>")
    .option("--yes", "don't ask")
    .action(async (name: string, options: { yes?: true }, command: Command) => {
      const { removePerson } = await import("../administration.ts");
      await removePerson({ ...placeOf(command), name, yes: options.yes === true });
    });
  people
    .command("role")
    .description("make somebody an administrator, or a member again (administrators)")
    .argument("<name>")
    .addArgument(new Argument("<role>").choices(["admin", "member"]))
    .action(async (name: string, role: "admin" | "member", _, command: Command) => {
      const { setRole } = await import("../administration.ts");
      await setRole({ ...placeOf(command), name, role });
    });
}

function addDeviceCommands(devices: Command): void {
  devices.action(async (name: string | undefined, _, command: Command) => {
    const { listDevices } = await import("../administration.ts");
    await listDevices({ ...placeOf(command), name });
  });
  devices
    .command("end")
    .description("end a device of somebody for good (administrators)")
    .argument("<name>")
    .argument("<device>", "its id, or how it begins, as snug devices lists it")
    .option("--yes", "don't ask")
    .action(async (name: string, device: string, options: { yes?: true }, command: Command) => {
      const { endDevice } = await import("../administration.ts");
      await endDevice({ ...placeOf(command), name, device, yes: options.yes === true });
    });
}
