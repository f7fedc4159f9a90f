import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AccountId,
  checkRow,
  DeviceId,
  type ErrorCode,
  firstPrevious,
  Hash,
  Incarnation,
  MessageId,
  type Row,
  randomId,
  rowHashInput,
  SnugError,
  StreamId,
  sha256,
  TitleId,
  toBase64url,
} from "@snug/protocol";
import type { NewRow, Quota, Store } from "../src/store/store.ts";

/** Opens the same store again after it was closed; the first time an empty one. */
export interface StoreUnderTest extends AsyncDisposable {
  open(): Promise<Store>;
}

export const roomy: Quota = { rows: 100, bytes: 1_000_000, senderRows: 100, senderBytes: 1_000_000 };
const now = 1_700_000_000_000;
const day = 24 * 3_600_000;

function random256<T>(schema: { parse(text: string): T }): T {
  return schema.parse(toBase64url(crypto.getRandomValues(new Uint8Array(32))));
}

interface Person {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly inbox: StreamId;
}

/** An account with one device and an inbox, as leaf `index` of the log. */
export async function addPerson(store: Store, index: number): Promise<Person> {
  const invite = random256(Hash);
  await store.addInvite(
    { hash: invite, account: random256(AccountId), usesLeft: 1, created: now, expires: now + day },
    9,
  );
  const person = { account: random256(AccountId), device: randomId(DeviceId), inbox: randomId(StreamId) };
  const recovery = new Uint8Array([1]);
  await store.addAccount({
    ...person,
    index,
    statement: bytes(50),
    checkpoint: `checkpoint ${index}`,
    recovery,
    invite,
    now,
  });
  return person;
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}

export function rowFrom(sender: Person, to: Person, counter: number, change: Partial<NewRow> = {}): NewRow {
  const { account, device } = sender;
  const id = randomId(MessageId);
  return {
    stream: to.inbox,
    kind: "letter",
    account,
    device,
    id,
    counter,
    sealed: bytes(100),
    expires: null,
    now,
    ...change,
  };
}

async function refuses(code: ErrorCode, of: Promise<unknown>, message?: RegExp): Promise<void> {
  await assert.rejects(of, (error) => {
    assert.ok(error instanceof SnugError);
    assert.equal(error.code, code);
    if (message) assert.match(error.message, message);
    return true;
  });
}

type Owed = (store: Store, alice: Person, bob: Person) => Promise<void>;

const owed: Readonly<Record<string, Owed>> = {
  "D2: rows are dense from 1, chained by hash, and come back as they were appended": async (
    store,
    alice,
    bob,
  ) => {
    const sent = [1, 2, 3].map((counter) => rowFrom(alice, bob, counter));
    for (const row of sent) await store.append(row, roomy);
    const rows = await store.rows(bob.inbox, 0, 1_000_000);
    assert.deepEqual(
      rows.map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      sent.map(({ id }) => id),
    );
    assert.deepEqual(
      rows.map(({ previous }) => previous),
      [firstPrevious, rows[0]?.rowHash, rows[1]?.rowHash],
    );
    for (const row of rows) assert.ok(await checkRow(row));
    assert.deepEqual(rows[0]?.sealed, sent[0]?.sealed);
    assert.equal(await store.head(bob.inbox), 3);
    assert.equal(await store.head(randomId(StreamId)), undefined);
  },

  "D21: rows of a former life are appended as they were, once, and counted; none behind one of this life":
    async (store, alice, bob) => {
      const first = await formerRow(alice, bob, { seq: 1, previous: firstPrevious, counter: 4 });
      const second = await formerRow(bob, bob, { seq: 2, previous: first.rowHash, counter: 1 });
      await refuses("conflict", store.restoreRows(bob.inbox, [second]));
      await refuses("conflict", store.restoreRows(bob.inbox, [first, { ...second, sealed: bytes(100) }]));
      await refuses("not-found", store.restoreRows(randomId(StreamId), [first]));
      assert.equal(await store.head(bob.inbox), 0);
      assert.equal(await store.restoreRows(bob.inbox, [first]), 1);
      assert.equal(await store.restoreRows(bob.inbox, [first, second]), 2);
      assert.deepEqual(await store.rows(bob.inbox, 0, 1_000_000), [first, second]);
      assert.deepEqual(await store.rowHashes(bob.inbox, [2, 3]), [second.rowHash, null]);
      await refuses("out-of-order", store.append(rowFrom(alice, bob, 1), roomy));
      const { seq, rowHash } = await store.append(rowFrom(alice, bob, 5), roomy);
      assert.equal(seq, 3);
      const late = await formerRow(alice, bob, { seq: 4, previous: rowHash, counter: 6 });
      await refuses("conflict", store.restoreRows(bob.inbox, [late]), /has gone on/);
      assert.deepEqual(
        (await store.moveCursor(bob.device, bob.inbox, 2)).map(({ id }) => id),
        [first.id, second.id],
      );
    },

  "D22: a device's used counters only rise, and streams that are not there are passed over": async (
    store,
    alice,
    bob,
  ) => {
    await store.append(rowFrom(alice, bob, 1), roomy);
    const used = (counter: number) => [
      { stream: bob.inbox, counter },
      { stream: randomId(StreamId), counter: 9 },
    ];
    await store.restoreDone(alice.device, used(7), null);
    await store.restoreDone(alice.device, used(3), null);
    assert.deepEqual(await store.counters(alice.device), [{ stream: bob.inbox, counter: 7 }]);
    assert.equal((await store.append(rowFrom(alice, bob, 8), roomy)).seq, 2);
    assert.equal(await store.restored(), null);
    await store.endRestoring();
    assert.equal(await store.restored(), null);
  },

  "I31: it is kept which kinds of statements were known when signatures were verified": async (store) => {
    assert.equal(await store.verifiedKinds(), null);
    for (const kinds of ["genesis", "genesis remove"]) {
      await store.keepVerifiedKinds(kinds);
      assert.equal(await store.verifiedKinds(), kinds);
    }
  },

  "D20: statements come back with the inboxes and devices of their accounts, all or none": async (
    store,
    alice,
    bob,
  ) => {
    const carol = { account: random256(AccountId), inbox: randomId(StreamId), device: randomId(DeviceId) };
    const leaf = { account: carol.account, statement: bytes(50), inbox: carol.inbox };
    const more = { account: alice.account, statement: bytes(50), inbox: null };
    const device = { account: carol.account, device: carol.device, active: true };
    const all = { leaves: [leaf, more], checkpoint: "checkpoint 3", devices: [device], now };
    await refuses("conflict", store.restoreStatements({ ...all, index: 1 }));
    const taken = { ...all, index: 2, leaves: [{ ...leaf, inbox: bob.inbox }] };
    await refuses("conflict", store.restoreStatements(taken));
    await store.restoreStatements({ ...all, index: 2 });
    assert.deepEqual(await store.checkpoint(), { text: "checkpoint 3", size: 4 });
    const stored = (await store.directory(2, 9)).map((entry) => ({ ...entry }));
    assert.deepEqual(stored, [
      { statement: leaf.statement, inbox: carol.inbox },
      { statement: more.statement, inbox: null },
    ]);
    assert.equal((await store.append(rowFrom(alice, carol, 1), roomy)).seq, 1);
    assert.equal((await store.moveCursor(carol.device, carol.inbox, 1)).length, 1);
  },

  "D5: the same bytes under the same id are one row, other bytes are refused": async (store, alice, bob) => {
    const row = rowFrom(alice, bob, 1);
    const first = await store.append(row, roomy);
    assert.ok(first.fresh);
    const again = await store.append({ ...row, now: now + 5 }, roomy);
    assert.deepEqual(again, { seq: 1, rowHash: first.rowHash, accepted: now, fresh: null });
    await refuses("id-conflict", store.append({ ...row, counter: 2, sealed: bytes(100) }, roomy));
    assert.equal(await store.head(bob.inbox), 1);
    // An id means something only together with its sender's device and stream.
    assert.equal((await store.append(rowFrom(bob, bob, 1, { id: row.id }), roomy)).seq, 2);
    assert.equal((await store.append(rowFrom(alice, alice, 1, { id: row.id }), roomy)).seq, 1);
  },

  "D5: doubles are known within one batch too": async (store, alice, bob) => {
    const row = rowFrom(alice, bob, 1);
    const [first, again, other] = await Promise.allSettled([
      store.append(row, roomy),
      store.append(row, roomy),
      store.append({ ...row, sealed: bytes(10) }, roomy),
    ]);
    assert.equal(first.status === "fulfilled" && first.value.seq, 1);
    assert.equal(again.status === "fulfilled" && again.value.seq, 1);
    assert.equal(other.status === "rejected" && (other.reason as SnugError).code, "id-conflict");
  },

  "D6: send counters are dense per device and stream; a refusal names the expected one": async (
    store,
    alice,
    bob,
  ) => {
    await refuses("out-of-order", store.append(rowFrom(alice, bob, 2), roomy), /2 received, 1 expected/);
    await store.append(rowFrom(alice, bob, 1), roomy);
    await refuses("out-of-order", store.append(rowFrom(alice, bob, 1), roomy), /1 received, 2 expected/);
    await store.append(rowFrom(bob, bob, 1), roomy);
    await store.append(rowFrom(alice, alice, 1), roomy);
    const counters = await store.counters(alice.device);
    assert.deepEqual(
      new Map(counters.map(({ stream, counter }) => [stream, counter])),
      new Map([
        [bob.inbox, 1],
        [alice.inbox, 1],
      ]),
    );
  },

  "D7: a refusal leaves the others of its batch alone": async (store, alice, bob) => {
    const results = await Promise.allSettled([
      store.append(rowFrom(alice, bob, 1), roomy),
      store.append(rowFrom(alice, bob, 7), roomy),
      store.append(rowFrom(alice, bob, 2), roomy),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.equal(await store.head(bob.inbox), 2);
  },

  "D14: what waits for one account is bounded in rows and bytes, and room comes back with delivery": async (
    store,
    alice,
    bob,
  ) => {
    const tight = { ...roomy, rows: 2, bytes: 250 };
    await store.append(rowFrom(alice, bob, 1), tight);
    await refuses("quota", store.append(rowFrom(alice, bob, 2, { sealed: bytes(151) }), tight));
    await store.append(rowFrom(alice, bob, 2), tight);
    await refuses("quota", store.append(rowFrom(alice, bob, 3, { sealed: bytes(1) }), tight));
    await store.moveCursor(bob.device, bob.inbox, 1);
    assert.equal((await store.append(rowFrom(alice, bob, 3), tight)).seq, 3);
  },

  "D14: one sender fills its share of an inbox and no more; others and the owner's own copies still get in":
    async (store, alice, bob) => {
      const carol = await addPerson(store, 2);
      const shared = { ...roomy, rows: 6, senderRows: 2, senderBytes: 250 };
      await store.append(rowFrom(alice, bob, 1), shared);
      await refuses("quota", store.append(rowFrom(alice, bob, 2, { sealed: bytes(151) }), shared));
      await store.append(rowFrom(alice, bob, 2), shared);
      await refuses("quota", store.append(rowFrom(alice, bob, 3, { sealed: bytes(1) }), shared));
      for (const counter of [1, 2]) await store.append(rowFrom(carol, bob, counter), shared);
      for (const counter of [1, 2]) await store.append(rowFrom(bob, bob, counter), shared);
      await refuses("quota", store.append(rowFrom(bob, bob, 3), shared));
      await store.moveCursor(bob.device, bob.inbox, 1);
      assert.equal((await store.append(rowFrom(alice, bob, 3), shared)).seq, 7);
      await refuses("quota", store.append(rowFrom(alice, bob, 4), { ...shared, rows: 99 }));
    },

  "D7: counters, heads and what waits are right again behind a batch that failed": async (
    store,
    alice,
    bob,
  ) => {
    await store.append(rowFrom(alice, bob, 1), roomy);
    const broken = { ...rowFrom(alice, bob, 2), kind: null } as unknown as NewRow;
    const results = await Promise.allSettled([
      store.append(rowFrom(bob, alice, 1), roomy),
      store.append(broken, roomy),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.equal((await store.append(rowFrom(bob, alice, 1), roomy)).seq, 1);
    assert.equal((await store.append(rowFrom(alice, bob, 2), roomy)).seq, 2);
    const [, second] = await store.rows(bob.inbox, 0, 1000);
    assert.ok(second && (await checkRow(second)));
  },

  "D9: cursors never go back and never above the head": async (store, alice, bob) => {
    for (const counter of [1, 2]) await store.append(rowFrom(alice, bob, counter), roomy);
    await refuses("rolled-back", store.moveCursor(bob.device, bob.inbox, 3));
    await store.moveCursor(bob.device, bob.inbox, 2);
    assert.deepEqual(await store.moveCursor(bob.device, bob.inbox, 1), []);
    assert.equal(await store.cursor(bob.device, bob.inbox), 2);
    assert.equal(await store.cursor(alice.device, bob.inbox), 0);
    await refuses("not-found", store.moveCursor(bob.device, randomId(StreamId), 0));
  },

  "D9: what a cursor has covered stays so behind a batch that failed, and behind a device that ended": async (
    store,
    alice,
    bob,
  ) => {
    const tablet = randomId(DeviceId);
    const change = { index: 2, account: bob.account, statement: bytes(50), checkpoint: "three", now };
    await store.addStatement(change, { addedDevices: [tablet], endedDevices: [], endedInvites: null });
    const [first, second] = [rowFrom(alice, bob, 1), rowFrom(alice, bob, 2)];
    for (const row of [first, second]) await store.append(row, roomy);
    await store.moveCursor(bob.device, bob.inbox, 2);
    await store.moveCursor(tablet, bob.inbox, 1);
    const broken = { ...rowFrom(alice, bob, 3), kind: null } as unknown as NewRow;
    await assert.rejects(store.append(broken, roomy));
    // Takes cursors along, with nothing else held of the inbox.
    await store.sweep(now);
    await assert.rejects(store.append(broken, roomy));
    const cursors = (): Promise<number[]> =>
      Promise.all([bob.device, tablet].map((device) => store.cursor(device, bob.inbox)));
    assert.deepEqual(await cursors(), [2, 1]);
    assert.deepEqual(await store.delivered(alice.account, [first.id, second.id]), [first.id]);
    const end = { ...change, index: 3, checkpoint: "four" };
    await store.addStatement(end, { addedDevices: [], endedDevices: [tablet], endedInvites: null });
    assert.deepEqual(await store.settle([tablet]), [{ account: alice.account, id: second.id }]);
    assert.deepEqual(await store.settle([tablet]), []);
  },

  "D10: pages end at the byte bound, and a row larger than it comes alone": async (store, alice, bob) => {
    for (const counter of [1, 2, 3]) await store.append(rowFrom(alice, bob, counter), roomy);
    const seqs = async (after: number, most: number): Promise<number[]> =>
      (await store.rows(bob.inbox, after, most)).map(({ seq }) => seq);
    assert.deepEqual(await seqs(0, 200), [1, 2]);
    assert.deepEqual(await seqs(2, 200), [3]);
    assert.deepEqual(await seqs(1, 10), [2]);
    assert.deepEqual(await seqs(3, 10), []);
  },

  "D11: delivered is said once, when the last active device has it": async (store, alice, bob) => {
    const tablet = randomId(DeviceId);
    const statement = { index: 2, account: bob.account, statement: bytes(50), checkpoint: "three", now };
    await store.addStatement(statement, { addedDevices: [tablet], endedDevices: [], endedInvites: null });
    const row = rowFrom(alice, bob, 1);
    await store.append(row, roomy);
    assert.deepEqual(await store.moveCursor(bob.device, bob.inbox, 1), []);
    assert.deepEqual(await store.delivered(alice.account, [row.id]), []);
    assert.deepEqual(await store.moveCursor(tablet, bob.inbox, 1), [{ account: alice.account, id: row.id }]);
    assert.deepEqual(await store.delivered(alice.account, [row.id, randomId(MessageId)]), [row.id]);
    // Only the sender is told.
    assert.deepEqual(await store.delivered(bob.account, [row.id]), []);
  },

  "D11: a copy to oneself under the same id does not count as delivered to the other": async (
    store,
    alice,
    bob,
  ) => {
    const row = rowFrom(alice, bob, 1);
    await store.append(row, roomy);
    await store.append(rowFrom(alice, alice, 1, { id: row.id }), roomy);
    await store.moveCursor(alice.device, alice.inbox, 1);
    assert.deepEqual(await store.delivered(alice.account, [row.id]), []);
    await store.moveCursor(bob.device, bob.inbox, 1);
    assert.deepEqual(await store.delivered(alice.account, [row.id]), [row.id]);
  },

  "D12 D13: bodies go 30 days after delivery or at their end; the record against doubles stays": async (
    store,
    alice,
    bob,
  ) => {
    const [delivered, waiting, ending] = [
      rowFrom(alice, bob, 1),
      rowFrom(alice, bob, 2),
      rowFrom(alice, bob, 3, { expires: now + day }),
    ];
    for (const row of [delivered, waiting, ending]) await store.append(row, roomy);
    await store.moveCursor(bob.device, bob.inbox, 1);
    const bodies = async (): Promise<boolean[]> =>
      (await store.rows(bob.inbox, 0, 1_000_000)).map(({ sealed }) => sealed !== null);
    await store.sweep(now + day - 1);
    assert.deepEqual(await bodies(), [true, true, true]);
    await store.sweep(now + day);
    assert.deepEqual(await bodies(), [true, true, false]);
    await store.sweep(now + 30 * day);
    assert.deepEqual(await bodies(), [false, true, false]);
    assert.equal((await store.append(delivered, roomy)).fresh, null);
    for (const row of await store.rows(bob.inbox, 0, 1_000_000)) assert.ok(await checkRow(row));
  },

  "P19: joining is one transaction: no invite, no account": async (store, alice) => {
    const nobody = { account: random256(AccountId), device: randomId(DeviceId), inbox: randomId(StreamId) };
    const joining = { ...nobody, statement: bytes(50), checkpoint: "c", recovery: bytes(9), now };
    await refuses("invite-invalid", store.addAccount({ ...joining, index: 2, invite: random256(Hash) }));
    const invite = random256(Hash);
    await store.addInvite(
      { hash: invite, account: alice.account, usesLeft: 1, created: now, expires: now + day },
      9,
    );
    await refuses("conflict", store.addAccount({ ...joining, index: 1, invite }));
    await refuses("conflict", store.addAccount({ ...joining, device: alice.device, index: 2, invite }));
    await refuses("invite-invalid", store.addAccount({ ...joining, index: 2, invite, now: now + day }));
    assert.equal((await store.invite(invite))?.usesLeft, 1);
    await store.addAccount({ ...joining, index: 2, invite });
    assert.equal((await store.invite(invite))?.usesLeft, 0);
    assert.deepEqual(await store.checkpoint(), { text: "c", size: 3 });
    assert.deepEqual(
      (await store.directory(2, 9)).map(({ inbox }) => inbox),
      [nobody.inbox],
    );
  },

  "P19: invites are listed, revoked by their maker only, and bounded": async (store, alice, bob) => {
    const invite = {
      hash: random256(Hash),
      account: alice.account,
      usesLeft: 2,
      created: now,
      expires: now + day,
    };
    await store.addInvite(invite, 1);
    await refuses("conflict", store.addInvite(invite, 9));
    await refuses("quota", store.addInvite({ ...invite, hash: random256(Hash) }, 1));
    const { account: _, ...view } = invite;
    assert.deepEqual(await store.invites(alice.account, now), [view]);
    assert.deepEqual(await store.invites(alice.account, now + day), []);
    await refuses("not-found", store.removeInvite(bob.account, invite.hash));
    await store.removeInvite(alice.account, invite.hash);
    assert.equal(await store.invite(invite.hash), undefined);
  },

  "D30: who blocks whom is kept once, bounded by account, and taken back": async (store, alice, bob) => {
    const [block, other] = [bob.account, random256(AccountId)].map((blocked) => ({
      account: alice.account,
      blocked,
    }));
    assert.ok(block && other);
    await store.addBlock(block, 1);
    await store.addBlock(block, 1);
    await refuses("quota", store.addBlock(other, 1));
    await store.addBlock({ account: bob.account, blocked: alice.account }, 1);
    assert.equal((await store.blocks()).length, 2);
    await store.removeBlock(other);
    await store.removeBlock(block);
    assert.deepEqual(await store.blocks(), [{ account: bob.account, blocked: alice.account }]);
  },

  "P23: there is one setup link; a new one voids the former": async (store) => {
    const link = (): { hash: Hash; account: null; usesLeft: number; created: number; expires: number } => ({
      ...{ hash: random256(Hash), account: null, usesLeft: 1, created: now, expires: now + day },
    });
    const [first, second] = [link(), link()];
    await store.replaceSetupLink(first);
    await store.replaceSetupLink(second);
    assert.equal(await store.invite(first.hash), undefined);
    assert.deepEqual({ ...(await store.invite(second.hash)) }, second);
    await store.replaceSetupLink(null);
    assert.equal(await store.invite(second.hash), undefined);
  },

  "P22: passes end with their device, in the transaction that ends it": async (store, alice, bob) => {
    const token = {
      hash: random256(Hash),
      kind: "token" as const,
      account: alice.account,
      device: alice.device,
      expires: now + day,
    };
    const grant = {
      ...token,
      hash: random256(Hash),
      kind: "grant" as const,
      title: randomId(TitleId),
      opened: null,
    };
    const others = { ...token, hash: random256(Hash), account: bob.account, device: bob.device };
    for (const pass of [token, grant, others]) await store.addPass(pass, null);
    await store.openGrant(grant.hash, now, now + 2 * day);
    assert.deepEqual(
      { ...(await store.pass(grant.hash)) },
      { ...grant, opened: now, expires: now + 2 * day },
    );
    const statement = { index: 2, account: alice.account, statement: bytes(50), checkpoint: "three", now };
    await store.addStatement(statement, {
      addedDevices: [],
      endedDevices: [alice.device],
      endedInvites: null,
    });
    assert.equal(await store.pass(token.hash), undefined);
    assert.equal(await store.pass(grant.hash), undefined);
    assert.deepEqual({ ...(await store.pass(others.hash)) }, others);
    // What is made by a pass that has just ended is not made.
    const late = { ...token, hash: random256(Hash), kind: "session" as const };
    await refuses("unauthenticated", store.addPass(late, token.hash));
    assert.equal(await store.pass(late.hash), undefined);
    await store.addPass({ ...others, hash: late.hash, kind: "session" }, others.hash);
    await store.endPasses(bob.device);
    assert.equal(await store.pass(others.hash), undefined);
  },
};

/** A row as a former life of the server had made it. */
async function formerRow(
  sender: Person,
  to: Person,
  of: Pick<Row, "seq" | "previous" | "counter">,
): Promise<Row> {
  const sealed = bytes(100);
  const row = {
    ...({ stream: to.inbox, incarnation: randomId(Incarnation), kind: "letter", class: "durable" } as const),
    ...{ account: sender.account, device: sender.device, id: randomId(MessageId), ...of },
    ...{ generation: null, epoch: null, sealedHash: await sha256(sealed), accepted: now, expires: null },
  };
  return { ...row, sealed, rowHash: await sha256(rowHashInput(row)) };
}

/** What every Store owes, whatever it is built on. */
export function storeContract(name: string, make: () => Promise<StoreUnderTest>): void {
  for (const [title, act] of Object.entries(owed)) {
    test(`${name} ${title}`, async () => {
      await using under = await make();
      await using store = await under.open();
      await act(store, await addPerson(store, 0), await addPerson(store, 1));
    });
  }

  test(`${name} D8: what was acknowledged is there after closing and opening`, async () => {
    await using under = await make();
    let people: readonly Person[] = [];
    let incarnation = "";
    {
      await using store = await under.open();
      incarnation = store.incarnation;
      const [alice, bob] = [await addPerson(store, 0), await addPerson(store, 1)];
      await store.append(rowFrom(alice, bob, 1), roomy);
      await store.moveCursor(bob.device, bob.inbox, 1);
      people = [alice, bob];
    }
    await using store = await under.open();
    const [alice, bob] = people;
    assert.ok(alice && bob);
    assert.equal(store.incarnation, incarnation);
    assert.equal(await store.head(bob.inbox), 1);
    assert.equal(await store.cursor(bob.device, bob.inbox), 1);
    assert.deepEqual(await store.checkpoint(), { text: "checkpoint 1", size: 2 });
    assert.equal((await store.append(rowFrom(alice, bob, 2), roomy)).seq, 2);
  });
}
