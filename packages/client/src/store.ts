import type { AccountKeys, ExportedKeys } from "@snug/crypto/sealing";

/** One record to be written (`value`) or erased (`null`). Keys are ASCII and name ids and numbers only, never texts. */
export interface Change {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** This device can't keep its data: nothing of what was to be stored is. The words are for its owner. */
export class StoreError extends Error {
  override readonly name = "StoreError";

  /** The disk is full, fails or may not be written. */
  static ofDisk(cause: Error): StoreError {
    const what = `this device's disk takes nothing more (${cause.message}): make room, then try again`;
    return new StoreError(what, { cause });
  }
}

/** Records of one table with `from` ≤ key < `until` by code units, the first or (newestFirst) the last `most` of them. */
export interface Range {
  readonly table: string;
  readonly from?: string;
  readonly until?: string;
  readonly most?: number;
  readonly newestFirst?: boolean;
}

/**
 * What a device keeps: small records and its private keys. One owner at a time: opening a second store on the same
 * home throws SnugError `conflict`. Its contract suite is test/store-contract.ts.
 */
export interface Store extends AsyncDisposable {
  get(table: string, key: string): Promise<Uint8Array | undefined>;
  list(range: Range): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]>;
  /** All of it or nothing, durable when it resolves. Throws StoreError. */
  commit(changes: readonly Change[]): Promise<void>;
  /** What was erased so far is not left in the store's files, as far as the platform can promise it. */
  scrub(): Promise<void>;
  /** Durable when it resolves; replaces what was there. */
  saveKeys(keys: AccountKeys, exportable: ExportedKeys): Promise<void>;
  loadKeys(): Promise<AccountKeys | undefined>;
  /** Removes every record and key. The store can be used anew afterwards. */
  erase(): Promise<void>;
}
