import {
  initSegment,
  masterPlaylist,
  mediaPlaylist,
  mediaSegment,
  type Rendition,
  type TitlePlan,
} from "@snug/media";
import type { TitleDetail } from "@snug/protocol";
import type { Catalog, Title } from "./catalog.ts";
import type { FileRequest, FoundHead } from "./messages.ts";
import type { HeldPlan, Plans } from "./plans.ts";
import type { Records } from "./records.ts";

/** A file below a title: its head, and its bytes, which are the reader's to keep. */
export interface Packaged {
  readonly head: FoundHead;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Answers from the titles that there are and nothing else: what is asked for is only ever looked up (VL9). */
export class Packager {
  readonly #catalog: Catalog;
  readonly #plans: Plans;
  readonly #records: Records;

  constructor(parts: { catalog: Catalog; plans: Plans; records: Records }) {
    this.#catalog = parts.catalog;
    this.#plans = parts.plans;
    this.#records = parts.records;
  }

  /** All a player needs before its first segment; null for an unknown title. */
  detail(id: string): TitleDetail | null {
    const title = this.#catalog.title(id);
    if (title === undefined) return null;
    const { view } = title;
    if (view.state !== "playable") return { title: view, base: "", master: "", playlists: {}, inits: {} };
    using held = this.#hold(title);
    const { plan } = held;
    const each = (of: (id: string) => string): Record<string, string> =>
      Object.fromEntries(plan.renditions.map(({ id }) => [id, of(id)]));
    return {
      title: view,
      base: `/m/me/${view.id}/${view.version}/`,
      master: masterPlaylist(plan),
      playlists: each((id) => mediaPlaylist(plan, id)),
      inits: each((id) => Buffer.from(initSegment(plan, id)).toString("base64url")),
    };
  }

  /** undefined = there is no such thing, whatever the reason. */
  open(request: FileRequest): Packaged | undefined {
    const title = this.#catalog.title(request.title);
    if (title?.view.state !== "playable" || title.view.version !== request.version) return undefined;
    if (request.rendition === "" && request.file === "still.jpg") {
      return whole("image/jpeg", this.#records.still(request.version));
    }
    const held = this.#hold(title);
    const segment = this.#segment(held, request);
    if (segment !== undefined) return segment;
    held[Symbol.dispose]();
    return text(held.plan, request);
  }

  #hold({ view, draft }: Title): HeldPlan {
    return this.#plans.hold(view.version, draft.files);
  }

  /** Takes over the plan when it answers. */
  #segment(held: HeldPlan, request: FileRequest): Packaged | undefined {
    const number = /^(0|[1-9]\d{0,6})\.m4s$/.exec(request.file)?.[1];
    const rendition = renditionOf(held.plan, request);
    const segment = number === undefined ? undefined : rendition?.segments[Number(number)];
    if (rendition === undefined || segment === undefined) return undefined;
    const source = held.source(rendition);
    if (source === undefined) return undefined;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      using plan = held;
      yield* mediaSegment(plan.plan, rendition.id, segment.number, source);
    };
    return { head: { mediaType: typeOf(rendition), length: segment.bytes }, body: body() };
  }
}

function text(plan: TitlePlan, request: FileRequest): Packaged | undefined {
  const playlist = "application/vnd.apple.mpegurl";
  const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
  if (request.rendition === "") {
    return request.file === "master.m3u8" ? whole(playlist, encode(masterPlaylist(plan))) : undefined;
  }
  const rendition = renditionOf(plan, request);
  if (rendition === undefined) return undefined;
  if (request.file === "index.m3u8") return whole(playlist, encode(mediaPlaylist(plan, rendition.id)));
  if (request.file === "init.mp4") return whole(typeOf(rendition), initSegment(plan, rendition.id).slice());
  return undefined;
}

const renditionOf = (plan: TitlePlan, request: FileRequest): Rendition | undefined =>
  plan.renditions.find(({ id }) => id === request.rendition);

const typeOf = ({ kind }: Rendition): string => (kind === "video" ? "video/mp4" : "audio/mp4");

function whole(mediaType: string, bytes: Uint8Array | null | undefined): Packaged | undefined {
  if (bytes === null || bytes === undefined) return undefined;
  const body = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  return { head: { mediaType, length: bytes.length }, body: body() };
}
