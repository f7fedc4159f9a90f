import {
  encodeStatement,
  encodeStatementContent,
  type KeyId,
  type StatementBody,
  type StatementKind,
} from "@snug/protocol";
import type { StatementHead } from "../identity/directory.ts";

/** Signs a statement by the account's signing key (RSA-PSS) or its recovery key (Ed25519). */
export async function signStatement<K extends StatementKind>(of: {
  readonly key: CryptoKey;
  readonly keyId: KeyId;
  readonly head: StatementHead;
  readonly kind: K;
  readonly body: StatementBody<K>;
}): Promise<Uint8Array<ArrayBuffer>> {
  const signed = encodeStatementContent({ ...of.head, keyId: of.keyId }, of.kind, of.body);
  const signature = await crypto.subtle.sign({ name: of.key.algorithm.name, saltLength: 32 }, of.key, signed);
  return encodeStatement(signed, new Uint8Array(signature));
}
