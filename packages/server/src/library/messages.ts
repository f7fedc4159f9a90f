import type { TitleDetail, TitleId, TitleView } from "@snug/protocol";

/** What one request for a file below a title names. Every part is an id or a word of a strict pattern, never a path. */
export interface FileRequest {
  readonly title: string;
  readonly version: string;
  /** A rendition's id, or "" for files of the title itself. */
  readonly rendition: string;
  /** `master.m3u8`, `still.jpg`; in a rendition `index.m3u8`, `init.mp4`, `<n>.m4s`. */
  readonly file: string;
}

/** What the worker is started with. */
export interface WorkerOptions {
  /** The folder of the videos. */
  readonly folder: string;
  /** The folder for the index; exists. */
  readonly data: string;
}

/** To the worker. `number` names one exchange. */
export type Ask =
  | { readonly type: "detail"; readonly number: number; readonly title: TitleId }
  | { readonly type: "open"; readonly number: number; readonly request: FileRequest }
  /** Leave to send one chunk more than what was allowed so far. */
  | { readonly type: "more"; readonly number: number }
  | { readonly type: "cancel"; readonly number: number }
  | { readonly type: "close" };

/** From the worker. */
export type Answer =
  /** The first one: all titles as they are known by now. */
  | { readonly type: "ready"; readonly titles: readonly TitleView[] }
  /** Nothing is left to do for what `seen` describes; null: something is. */
  | { readonly type: "settled"; readonly seen: Seen | null }
  | { readonly type: "changed"; readonly titles: readonly TitleView[]; readonly removed: readonly TitleId[] }
  | { readonly type: "detail"; readonly number: number; readonly detail: TitleDetail | null }
  | { readonly type: "opened"; readonly number: number; readonly found: FoundHead | null }
  | { readonly type: "chunk"; readonly number: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "end"; readonly number: number }
  | { readonly type: "failed"; readonly number: number; readonly message: string }
  | { readonly type: "log"; readonly line: string };

/** A folder as the worker saw it last: as long as it stays so, nobody needs the worker. */
export interface Seen {
  /** Absolute. */
  readonly root: string;
  /** Below the root, which is "". */
  readonly folders: readonly string[];
  readonly signature: string;
}

/** What is known of a file before its bytes. */
export interface FoundHead {
  readonly mediaType: string;
  /** Bytes, when known. */
  readonly length: number | null;
}

/** Chunks that may be on their way to the main thread unasked, so that it never waits for a round trip. */
export const chunksAhead = 2;
