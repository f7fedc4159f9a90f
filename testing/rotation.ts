import { keyIdOf } from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
import { decodeStatement, type GenesisBody, type ServerId, SnugError, sha256 } from "@snug/protocol";
import type { RawPerson } from "./wire.ts";

/** Gives a person new keys, signed by the old signing key alone: what everybody else must be told loudly. */
export async function changeKeys(server: ServerId, person: RawPerson): Promise<void> {
  const { account, created } = person;
  const former = bodyOf(created.genesis);
  const fresh = bodyOf(
    (await createAccount({ server, display: "Spare", invite: null, now: Date.now() })).genesis,
  );
  const statement = await signStatement({
    key: created.keys.signing,
    keyId: await keyIdOf(former.signing),
    head: { server, account, number: 1, previous: await sha256(created.genesis), time: Date.now() },
    kind: "rotate",
    body: { signing: fresh.signing, encryption: [...former.encryption, ...fresh.encryption] },
  });
  await using wire = await person.connect();
  await wire.request("statement-append", { statement });
}

function bodyOf(genesis: Uint8Array): GenesisBody {
  const { content } = decodeStatement(genesis);
  if (content.kind !== "genesis") throw new SnugError("malformed", `${content.kind} is no genesis`);
  return content.body;
}
