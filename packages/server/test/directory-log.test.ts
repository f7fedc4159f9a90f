import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { generateLogKey, importLogKey, nextHead, serverIdOf } from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
import { SnugError, type StatementBody, type StatementKind, sha256 } from "@snug/protocol";
import { letterTo } from "../../../testing/wire.ts";
import { DirectoryLog } from "../src/directoryLog.ts";
import { BroughtStatements } from "../src/restoring.ts";
import type { Room } from "../src/room.ts";
import { handlers } from "../src/socket/handlers.ts";
import type { Store } from "../src/store/store.ts";
import { refused } from "./refused.ts";

/** A directory of one account over a store that takes statements when the test says so, and `most` bytes of them. */
async function logOver(addStatement: Store["addStatement"], most?: number) {
  const made = await generateLogKey();
  const server = await serverIdOf(made.public);
  const key = { logKey: await importLogKey(made.pkcs8), logPublic: made.public };
  const store: Partial<Store> = {
    directory: async () => [],
    checkpoint: async () => null,
    verifiedKinds: async () => null,
    keepVerifiedKinds: async () => undefined,
    addAccount: async () => undefined,
    addStatement,
  };
  const log = await DirectoryLog.open(store as Store, { server, first: made.public, held: [key] }, most);
  const { genesis, account, device, keys } = await createAccount({
    server,
    display: "Alice",
    invite: null,
    now: 0,
  });
  const invite = await sha256(genesis);
  const { inbox } = await log.join({ genesis, recovery: new Uint8Array(), invite, inviter: null, now: 0 });
  const keyId = log.member(account)?.signingKeyId;
  assert.ok(keyId);
  const append = async <K extends StatementKind>(kind: K, body: StatementBody<K>): Promise<number> => {
    const head = nextHead(log.directory, account, 0);
    const statement = await signStatement({ key: keys.signing, keyId, head, kind, body });
    return log.append(account, statement, 0);
  };
  const end = (): Promise<number> => append("device-revoke", { device });
  return { log, inbox, account, device, genesis, append, end };
}

test("P45 directory: above its bytes nobody joins and nothing is added but what ends somebody", async () => {
  const { log, account, genesis, append, end } = await logOver(async () => undefined, 3_000);
  assert.ok(genesis.length > 1_500 && genesis.length < 2_400);
  const admin = { account, role: "admin" } as const;
  assert.equal(await append("role", admin), 1);
  await refused({ code: "quota" }, append("role", admin));
  const { server } = log.directory;
  const other = await createAccount({ server, display: "Bob", invite: null, now: 0 });
  const invite = await sha256(other.genesis);
  await refused({ code: "quota" }, log.join({ ...other, invite, inviter: null, now: 0 }));
  assert.equal(log.size, 2);
  assert.equal(await end(), 2);
  assert.equal(await append("remove", {}), 3);
});

test("D31: from the call that ends a device nothing of it is handed to the store, which takes changes in order", async () => {
  let failing = true;
  let decide: () => void = () => undefined;
  const { log, inbox, account, device, end } = await logOver(async () => {
    await new Promise<void>((resolve) => {
      decide = resolve;
    });
    if (failing) throw new SnugError("unavailable", "the disk is full");
  });
  let taken = 0;
  const restoring = { mustTakeLetters: () => taken++ };
  const room = { log, restoring, now: () => 0, blocks: { has: () => false } } as unknown as Room;
  const principal = { account, device, rights: "full" as const };
  const connection = { subscribe: () => undefined, brought: new BroughtStatements() };
  // Whatever goes on behind this point would reach the store.
  const submit = () => handlers.submit({ room, principal, connection }, letterTo(inbox, 1));
  const handedOn = async (): Promise<boolean> => {
    const before = taken;
    await submit().catch(() => undefined);
    return taken > before;
  };
  assert.equal(await handedOn(), true);
  const attempt = async (): Promise<Promise<number>[]> => {
    decide = () => undefined;
    const called = end();
    while (!log.isEnded(device)) await setImmediate();
    await refused({ code: "unauthenticated" }, submit());
    assert.equal(await handedOn(), false);
    decide();
    return [called];
  };
  const [failed] = await attempt();
  await assert.rejects(async () => failed, /the disk is full/);
  assert.equal(await handedOn(), true, "a statement that was not stored ended nothing");
  failing = false;
  const [ended] = await attempt();
  await ended;
  assert.equal(await handedOn(), false);
});
