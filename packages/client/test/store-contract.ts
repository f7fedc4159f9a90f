import type { Store } from "@snug/client";
import { createAccount } from "@snug/crypto/sealing";
import type { ServerId } from "@snug/protocol";

/** Where a suite's store lies: opened again after it was closed, it holds what it held. */
export interface Place {
  open(): Promise<Store>;
}

export interface Case {
  readonly title: string;
  run(place: Place): Promise<void>;
}

const bytes = (...values: number[]) => new Uint8Array(values);

function equal(actual: unknown, expected: unknown, what: string): void {
  const text = (value: unknown) =>
    JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? [...part] : (part as unknown)));
  if (text(actual) !== text(expected)) throw new Error(`${what}: ${text(actual)} is not ${text(expected)}`);
}

/** What every store keeps to (docs/spec/client.md, C25). Runs in Node and in a browser, so it needs neither. */
export const storeContract: readonly Case[] = [
  {
    title: "C25: a record is kept across a reopening, replaced, and erased",
    async run(place) {
      let store = await place.open();
      equal(await store.get("a", "k"), undefined, "nothing yet");
      await store.commit([{ table: "a", key: "k", value: bytes(1, 2) }]);
      await store[Symbol.asyncDispose]();
      store = await place.open();
      equal(await store.get("a", "k"), bytes(1, 2), "kept");
      equal(await store.get("b", "k"), undefined, "tables are apart");
      await store.commit([{ table: "a", key: "k", value: bytes(3) }]);
      equal(await store.get("a", "k"), bytes(3), "replaced");
      await store.commit([{ table: "a", key: "k", value: null }]);
      equal(await store.get("a", "k"), undefined, "erased");
      await store[Symbol.asyncDispose]();
    },
  },
  {
    title: "C25: a range is cut at both ends, ordered, and limited from either end",
    async run(place) {
      await using store = await place.open();
      const keys = ["x:1", "x:2", "x:3", "y:1"];
      await store.commit(keys.map((key, at) => ({ table: "a", key, value: bytes(at) })));
      await store.commit([{ table: "b", key: "x:9", value: bytes(9) }]);
      const list = async (range: Omit<Parameters<Store["list"]>[0], "table">) =>
        (await store.list({ table: "a", ...range })).map(({ key }) => key);
      equal(await list({}), keys, "all");
      equal(await list({ from: "x:", until: "x;" }), ["x:1", "x:2", "x:3"], "a prefix");
      equal(await list({ from: "x:2", until: "y:1" }), ["x:2", "x:3"], "from is in, until is out");
      equal(await list({ most: 2 }), ["x:1", "x:2"], "the first two");
      equal(await list({ until: "x:3", most: 2, newestFirst: true }), ["x:2", "x:1"], "the last two before");
      equal((await store.list({ table: "b" }))[0]?.value, bytes(9), "values come along");
    },
  },
  {
    title: "C25: a commit is whole or not at all",
    async run(place) {
      await using store = await place.open();
      await store.commit([{ table: "a", key: "k", value: bytes(1) }]);
      const broken = { table: "a", key: {} as unknown as string, value: bytes(2) };
      const failed = await store
        .commit([
          { table: "a", key: "k", value: bytes(2) },
          broken,
          { table: "a", key: "m", value: bytes(3) },
        ])
        .then(
          () => false,
          () => true,
        );
      equal(failed, true, "a record that can't be kept fails");
      equal(await store.get("a", "k"), bytes(1), "as before");
      equal(await store.get("a", "m"), undefined, "nothing after");
      await store.commit([{ table: "a", key: "m", value: bytes(4) }]);
      equal(await store.get("a", "m"), bytes(4), "and it works on");
    },
  },
  {
    title: "C25: the account's keys come back usable and can't be read out",
    async run(place) {
      let store = await place.open();
      equal(await store.loadKeys(), undefined, "no keys yet");
      const server = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" as ServerId;
      const made = await createAccount({ server, display: "Ann", invite: null, now: 0 });
      await store.saveKeys(made.keys, made.exportable);
      await store[Symbol.asyncDispose]();
      store = await place.open();
      const keys = await store.loadKeys();
      if (!keys) throw new Error("the keys are gone");
      equal(keys.encryption[0]?.keyId, made.keys.encryption[0]?.keyId, "key id");
      for (const key of [keys.device, keys.signing, keys.encryption[0]?.key]) {
        equal(key?.extractable, false, "not extractable");
      }
      const [before, after] = await Promise.all(
        [made.keys.device, keys.device].map((key) => crypto.subtle.sign("Ed25519", key, bytes(1))),
      );
      equal(new Uint8Array(after ?? []), new Uint8Array(before ?? []), "the same key");
      await store.erase();
      equal(await store.loadKeys(), undefined, "erased");
      await store.commit([{ table: "a", key: "k", value: bytes(1) }]);
      equal(await store.get("a", "k"), bytes(1), "usable anew");
      await store[Symbol.asyncDispose]();
    },
  },
  {
    title: "C1: a second opening is refused while the first is there",
    async run(place) {
      const store = await place.open();
      await store.commit([{ table: "a", key: "k", value: bytes(1) }]);
      const code = await place.open().then(
        () => "opened",
        (error: { code?: string }) => error.code,
      );
      equal(code, "conflict", "refused");
      await store.commit([{ table: "a", key: "l", value: bytes(1) }]);
      await store[Symbol.asyncDispose]();
      await (await place.open())[Symbol.asyncDispose]();
    },
  },
];
