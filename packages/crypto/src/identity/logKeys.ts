import {
  decodeLogKeyChange,
  type Ed25519Public,
  encodeLogKeyChange,
  encodeLogKeyChangeContent,
  type LogKeyChange,
  type ServerId,
  SnugError,
} from "@snug/protocol";
import { serverIdOf, verifyEd25519 } from "./keys.ts";

/** A log key that came after the first one. */
export interface LogKeyTerm {
  readonly key: Ed25519Public;
  readonly previous: Ed25519Public;
  /** The smallest size of a checkpoint that it signs: the one whose last leaf appoints it. */
  readonly from: number;
  /** The exact leaf. */
  readonly leaf: Uint8Array<ArrayBuffer>;
}

/** The leaf that appoints a new log key, signed by the one before. */
export async function signLogKeyChange(
  change: LogKeyChange,
  previous: CryptoKey,
): Promise<Uint8Array<ArrayBuffer>> {
  const signed = encodeLogKeyChangeContent(change);
  return encodeLogKeyChange(signed, new Uint8Array(await crypto.subtle.sign("Ed25519", previous, signed)));
}

/**
 * The terms after a leaf, or null when the leaf is none of the log key's; `index` is its place in the log.
 * Throws SnugError `malformed`, `upgrade`, `forbidden` (server, signature), `conflict` (number, previous key).
 */
export async function appointLogKey(
  terms: readonly LogKeyTerm[],
  of: { readonly server: ServerId; readonly leaf: Uint8Array; readonly index: number },
): Promise<readonly LogKeyTerm[] | null> {
  const decoded = decodeLogKeyChange(of.leaf);
  if (!decoded) return null;
  const { change, signed, signature } = decoded;
  if (change.server !== of.server) throw new SnugError("forbidden", "a log key of another server");
  const last = terms.at(-1);
  if (change.number !== terms.length + 1) {
    throw new SnugError("conflict", `log key change ${change.number} does not follow change ${terms.length}`);
  }
  const follows = last
    ? last.key.x === change.previous.x
    : (await serverIdOf(change.previous)) === change.server;
  if (!follows) throw new SnugError("conflict", "a log key appointed by a key that is not the log's");
  if (!(await verifyEd25519(change.previous, signed, signature))) {
    throw new SnugError("forbidden", "a log key change that the key before did not sign");
  }
  const used = [change.previous, ...terms.flatMap(({ key, previous }) => [key, previous])];
  if (used.some(({ x }) => x === change.next.x)) {
    throw new SnugError("conflict", "a log key that was in use before");
  }
  const { next: key, previous } = change;
  return [...terms, { key, previous, from: of.index + 1, leaf: new Uint8Array(of.leaf) }];
}

/** The key that signs a checkpoint of this size. `first` is the key whose hash is the server's id. */
export function logKeyAt(terms: readonly LogKeyTerm[], first: Ed25519Public, size: number): Ed25519Public {
  return terms.findLast(({ from }) => from <= size)?.key ?? first;
}

/**
 * The server's first log key, by the leaves that lead from it to the key of a link.
 * Throws SnugError `forbidden` when they don't.
 */
export async function firstLogKey(of: {
  readonly server: ServerId;
  readonly linkKey: Ed25519Public;
  readonly leaves: readonly Uint8Array[];
}): Promise<Ed25519Public> {
  const { server, linkKey, leaves } = of;
  let terms: readonly LogKeyTerm[] = [];
  for (const [index, leaf] of leaves.entries()) {
    const next = await appointLogKey(terms, { server, leaf, index });
    if (!next) throw new SnugError("forbidden", "the server shows something else as a change of its log key");
    terms = next;
  }
  const first = terms[0]?.previous ?? linkKey;
  const known = [first, ...terms.map(({ key }) => key)].some(({ x }) => x === linkKey.x);
  if (!known || (await serverIdOf(first)) !== server) {
    throw new SnugError("forbidden", "the link's log key is not its server's");
  }
  return first;
}
