import assert from "node:assert/strict";
import { it } from "node:test";
import { decodeStatement, type SnugError, type StatementKind } from "@snug/protocol";
import { bootServer } from "./server.ts";
import { newDevice, statementOf } from "./statements.ts";
import { joinRaw, type RawPerson } from "./wire.ts";

/** What a statement in one's own chain may say of somebody else, by who makes it; null: it can't speak of anybody else. */
const aboutOthers: Readonly<
  Record<StatementKind, { readonly member: string; readonly admin: string } | null>
> = {
  role: { member: "forbidden", admin: "ok" },
  "device-end": { member: "forbidden", admin: "ok" },
  // They name devices of the own account, and these are another's.
  "device-add": { member: "conflict", admin: "conflict" },
  "device-revoke": { member: "conflict", admin: "conflict" },
  genesis: null,
  rotate: null,
  "recovery-change": null,
  remove: null,
  // Last: nothing can be said of who is gone.
  "account-remove": { member: "forbidden", admin: "ok" },
};

it("P29: an administrator may make three statements about others, a member none, and nobody one in another's chain", async () => {
  await using server = await bootServer();
  const admin = await joinRaw(server, "admin");
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  const wrong: string[] = [];
  for (const kind of Object.keys(aboutOthers) as StatementKind[]) {
    for (const by of ["member", "admin"] as const) {
      const person = by === "member" ? alice : admin;
      await using wire = await person.connect();
      const body = await bodyAbout(kind, bob);
      const ask = async (chain: RawPerson): Promise<string> => {
        const statement = await statementOf({ server, wire, person: chain }, kind, body as never);
        return wire.request("statement-append", { statement }).then(
          () => "ok",
          (error: SnugError) => error.code,
        );
      };
      const inTheirs = await ask(bob);
      if (inTheirs !== "forbidden") wrong.push(`${by}, in another's chain: ${kind} is ${inTheirs}`);
      const expected = aboutOthers[kind]?.[by];
      const got = expected && (await ask(person));
      if (got !== expected) wrong.push(`${by}: ${kind} is ${got}, not ${expected}`);
    }
  }
  assert.deepEqual(wrong, []);
});

async function bodyAbout(kind: StatementKind, { account, created }: RawPerson): Promise<unknown> {
  const { device } = created;
  const { content } = decodeStatement(created.genesis);
  assert.ok(content.kind === "genesis");
  const { signing, encryption, recovery } = content.body;
  const bodies: Readonly<Record<StatementKind, unknown>> = {
    genesis: content.body,
    "device-add": { ...(await newDevice(account)).entry, device },
    "device-revoke": { device },
    rotate: { signing, encryption },
    "recovery-change": { recovery },
    remove: {},
    role: { account, role: "admin" },
    "account-remove": { account },
    "device-end": { account, device },
  };
  return bodies[kind];
}
