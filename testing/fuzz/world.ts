import { readFileSync } from "node:fs";
import { generateLogKey, importLogKey, rootOf, signCheckpoint } from "@snug/crypto/identity";
import { recoverKeys } from "@snug/crypto/sealing";
import { encodeIndex, memorySource, readIndex } from "@snug/media";
import {
  encodeInviteLink,
  encodeLetterPayload,
  encodeRecoveryContent,
  encodeWrappedKeys,
  type LetterPayload,
} from "@snug/protocol";
import {
  accountOf,
  deviceEntry,
  letterBetween,
  makeRoom,
  membersOf,
  nextStatement,
  openerOf,
  personOf,
} from "../../packages/crypto/test/people.ts";
import type { LetterKeys } from "./seals.ts";
import type { Pool } from "./values.ts";

const sample = new URL("../../videos/Test card_240p.mp4", import.meta.url);

/** What valid things look like, for cases to start from: people, statements, a letter, a link, a film. */
export interface World {
  readonly room: Awaited<ReturnType<typeof makeRoom>>;
  readonly pool: Pool;
  readonly statements: readonly Uint8Array[];
  /** Members of the next statements of Alice's, by kind, to be bent and signed anew. */
  readonly next: readonly (readonly unknown[])[];
  readonly checkpoint: string;
  readonly logPublic: Awaited<ReturnType<typeof generateLogKey>>["public"];
  readonly payload: LetterPayload;
  readonly letter: ReturnType<typeof letterBetween>;
  readonly sealed: Uint8Array;
  /** For sealing payloads that nobody's client would write. */
  readonly letterKeys: LetterKeys;
  readonly recoveryCode: string;
  /** Alice's recovery key, an Ed25519 key that signs statements of hers. */
  readonly recoveryKey: CryptoKey;
  readonly opener: ReturnType<typeof openerOf>;
  readonly link: string;
  readonly blobs: readonly Uint8Array[];
  readonly film: Uint8Array;
  readonly index: Uint8Array;
}

/** Makes it; the keys are new each time, the forms the same. */
export async function makeWorld(): Promise<World> {
  const room = await makeRoom(["Alice", "Bob"]);
  const alice = personOf(room, "Alice");
  const bob = personOf(room, "Bob");
  const log = await generateLogKey();
  const checkpoint = await signCheckpoint({
    server: room.server,
    logKey: await importLogKey(log.pkcs8),
    logPublic: log.public,
    size: room.directory.size,
    root: await rootOf(room.directory.tree),
  });
  const { entry } = await deviceEntry();
  const letter = letterBetween(room, "Alice", "Bob", "See you at <nine> \u202e& more");
  const sealed = await letter.seal();
  const { account, device } = alice;
  const { id, counter, time, server, content, copyOf } = letter.letter;
  const payload: LetterPayload = {
    ...{ version: 1, server, from: { account, device }, copyOf, id, counter, time, checkpoint, content },
    to: { account: bob.account, key: letter.letter.to.keyId },
  };
  const { signing, recoveryKeyId } = accountOf(room.directory, account);
  const bodies: readonly (readonly [string, unknown])[] = [
    ["device-add", entry],
    ["device-revoke", { device }],
    ["recovery-change", { recovery: entry.key }],
    ["rotate", { signing, encryption: [signing] }],
    ["remove", {}],
    ["role", { account: bob.account, role: "admin" }],
    ["succession", { later: [1, 2, 3] }],
  ];
  const film = new Uint8Array(readFileSync(sample));
  const nonce = new Uint8Array(12);
  const wrapped = { server, account, nonce, sealed: new Uint8Array(300) };
  const keys = {
    signing: new Uint8Array(60),
    encryption: [{ keyId: payload.to.key, key: new Uint8Array(60) }],
  };
  return {
    ...{ room, checkpoint, logPublic: log.public, payload, letter, sealed, film },
    pool: {
      texts: [room.server, account, bob.account, device, bob.device, id, payload.to.key, checkpoint, "Alice"],
      bytes: [alice.genesis, bob.genesis, new Uint8Array(16), new Uint8Array(32), sealed],
    },
    statements: [
      alice.genesis,
      bob.genesis,
      await nextStatement(room, "Alice", "device-add", entry),
      await nextStatement(room, "Bob", "remove", {}),
    ],
    next: bodies.map(([kind, body]) => [...membersOf(room, "Alice", kind, body).slice(0, -1), recoveryKeyId]),
    recoveryCode: alice.recoveryCode,
    recoveryKey: (await recoverKeys(alice.recoveryCode, alice.recovery)).recoveryKey.key,
    letterKeys: {
      signing: alice.keys.device,
      signingId: letter.letter.from.deviceKeyId,
      to: letter.letter.to,
    },
    opener: openerOf(room, "Bob"),
    link: encodeInviteLink({
      ...{ version: 1, addresses: ["https://localhost:8420"], server, logKey: log.public, checkpoint },
      ...{ authority: null, inviter: account, secret: new Uint8Array(16), once: true },
    }),
    blobs: [encodeWrappedKeys(wrapped), encodeRecoveryContent(keys), encodeLetterPayload(payload)],
    index: encodeIndex(await readIndex(memorySource(film))),
  };
}
