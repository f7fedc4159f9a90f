import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AccountId,
  checkRow,
  DeviceId,
  decodeCbor,
  firstPrevious,
  Hash,
  Incarnation,
  MessageId,
  Row,
  randomId,
  rowHashInput,
  StreamId,
  sha256,
  toBase64url,
} from "@snug/protocol";

async function makeRow(): Promise<Row> {
  const sealed = new Uint8Array([1, 2, 3]);
  const header = {
    stream: randomId(StreamId),
    seq: 1,
    incarnation: randomId(Incarnation),
    kind: "letter" as const,
    class: "durable" as const,
    account: AccountId.parse(toBase64url(new Uint8Array(32))),
    device: randomId(DeviceId),
    id: randomId(MessageId),
    counter: 1,
    generation: null,
    epoch: null,
    sealedHash: await sha256(sealed),
    accepted: 1_000,
    expires: null,
    previous: firstPrevious,
  };
  return { ...header, sealed, rowHash: await sha256(rowHashInput(header)) };
}

test("E7: a row as the server made it checks, also after its body was erased", async () => {
  const row = await makeRow();
  assert.deepEqual(Row.parse(row), row);
  assert.equal(await checkRow(row), true);
  assert.equal(await checkRow({ ...row, sealed: null }), true);
});

test("E7: a row with anything in it changed does not check", async () => {
  const row = await makeRow();
  const hash = Hash.parse(toBase64url(new Uint8Array(32).fill(1)));
  const changes: Partial<Row>[] = [
    { stream: randomId(StreamId) },
    { seq: 2 },
    { incarnation: randomId(Incarnation) },
    { account: AccountId.parse(hash) },
    { device: randomId(DeviceId) },
    { id: randomId(MessageId) },
    { counter: 2 },
    { generation: 0 },
    { epoch: 0 },
    { sealedHash: hash },
    { sealed: new Uint8Array([1, 2, 4]) },
    { accepted: 1_001 },
    { expires: 0 },
    { previous: hash },
    { rowHash: hash },
  ];
  for (const change of changes)
    assert.equal(await checkRow({ ...row, ...change }), false, JSON.stringify(change));
  // Every member is covered, but kind and class, which have one value each.
  const covered = new Set(changes.flatMap((change) => Object.keys(change)));
  assert.deepEqual(
    new Set([...Object.keys(row)].filter((member) => !covered.has(member))),
    new Set(["kind", "class"]),
  );
});

test("E7: what is hashed begins with its label and holds kind and class", async () => {
  const input = decodeCbor(rowHashInput(await makeRow()));
  assert(Array.isArray(input));
  assert.equal(input[0], "snug/1 row");
  assert.deepEqual(input[4].slice(1, 3), ["letter", "durable"]);
});

test("E7: a row with a member more or less, or an empty body, is none", async () => {
  const row = await makeRow();
  const { epoch: _, ...less } = row;
  for (const other of [{ ...row, more: 1 }, less, { ...row, sealed: new Uint8Array() }, { ...row, seq: 0 }]) {
    assert.equal(Row.safeParse(other).success, false);
  }
});
