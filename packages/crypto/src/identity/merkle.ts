import { fromBase64url, type Hash, sha256Bytes } from "@snug/protocol";

/**
 * A Merkle tree by the hashing of RFC 6962 §2.1, append-only and immutable. Only the roots of its complete subtrees
 * are kept; the trees it grew from stay reachable, so that a checkpoint of the past can be compared.
 */
export interface MerkleTree {
  readonly size: number;
  /** Roots of the complete subtrees, largest first: one per set bit of `size`. */
  readonly peaks: readonly Uint8Array<ArrayBuffer>[];
  /** This tree before its last leaf. */
  readonly before: MerkleTree | null;
}

export function emptyTree(): MerkleTree {
  return { size: 0, peaks: [], before: null };
}

/** Appends a leaf whose data are the 32 bytes of a statement's SHA-256. */
export function appendLeaf(tree: MerkleTree, hash: Hash): Promise<MerkleTree> {
  return appendData(tree, fromBase64url(hash));
}

/** Appends a leaf of any data. */
export async function appendData(tree: MerkleTree, data: Uint8Array): Promise<MerkleTree> {
  const peaks = [...tree.peaks];
  let root = await digest(0, data);
  // Each trailing set bit of the size is a complete subtree as large as the one just finished.
  for (let rest = tree.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    root = await digest(1, peaks.pop() ?? new Uint8Array(), root);
  }
  return { size: tree.size + 1, peaks: [...peaks, root], before: tree };
}

/** The root: 32 bytes. */
export async function rootOf(tree: MerkleTree): Promise<Uint8Array<ArrayBuffer>> {
  let root = tree.peaks[tree.peaks.length - 1];
  if (!root) return sha256Bytes(new Uint8Array());
  for (let i = tree.peaks.length - 2; i >= 0; i--) root = await digest(1, tree.peaks[i] ?? root, root);
  return root;
}

/**
 * Whether a checkpoint and this tree tell one history: `same`, `different` (somebody is shown another directory), or
 * `newer` when the checkpoint is larger than the tree, so that nothing can be said yet.
 */
export async function compareCheckpoint(
  tree: MerkleTree,
  checkpoint: { readonly size: number; readonly root: Uint8Array },
): Promise<"same" | "different" | "newer"> {
  if (checkpoint.size > tree.size) return "newer";
  let then = tree;
  while (then.size > checkpoint.size && then.before) then = then.before;
  const root = await rootOf(then);
  return root.every((byte, at) => byte === checkpoint.root[at]) ? "same" : "different";
}

function digest(prefix: 0 | 1, ...parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  bytes[0] = prefix;
  let at = 1;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return sha256Bytes(bytes);
}
