import type { TitleDetail } from "@snug/protocol";
import type { Loader, LoaderCallbacks, LoaderConfiguration, LoaderContext, LoaderStats } from "hls.js";

type LoaderClass = new (config: never) => Loader<LoaderContext>;

/** Refused for want of a fresh cookie, not because anything is wrong with the film. */
const renewable = new Set([401, 403, 404]);

/**
 * The loader of one title: playlists and init segments come out of its answer, segments over HTTP with the cookie,
 * which is renewed once when it has run out in the middle of a film.
 */
export function titleLoader(
  Http: LoaderClass,
  detail: TitleDetail,
  renew: () => Promise<void>,
): new (
  config: never,
) => Loader<LoaderContext> {
  const known = partsOf(detail);
  return class implements Loader<LoaderContext> {
    context: LoaderContext | null = null;
    #http: Loader<LoaderContext>;
    readonly #makeHttp: () => Loader<LoaderContext>;
    #over = false;

    constructor(config: never) {
      this.#makeHttp = () => new Http(config);
      this.#http = this.#makeHttp();
    }

    get stats(): LoaderStats {
      return this.#http.stats;
    }

    load(
      context: LoaderContext,
      config: LoaderConfiguration,
      callbacks: LoaderCallbacks<LoaderContext>,
    ): void {
      this.context = context;
      const part = known.get(new URL(context.url, location.href).pathname);
      if (part === undefined) this.#fetch(context, config, callbacks, true);
      // Never in the same turn: hls.js has not finished asking yet.
      else queueMicrotask(() => this.#answer(part, context, callbacks));
    }

    abort(): void {
      this.#over = true;
      this.#http.abort();
    }

    destroy(): void {
      this.#over = true;
      this.#http.destroy();
    }

    #answer(
      part: string | Uint8Array<ArrayBuffer>,
      context: LoaderContext,
      callbacks: LoaderCallbacks<LoaderContext>,
    ): void {
      if (this.#over) return;
      const { stats } = this;
      const now = performance.now();
      stats.loading = { start: now, first: now, end: now };
      stats.loaded = stats.total = part.length;
      // A copy: hls.js may hand the bytes on.
      const data = typeof part === "string" ? part : part.slice().buffer;
      callbacks.onSuccess({ url: context.url, data, code: 200 }, stats, context, null);
    }

    #fetch(
      context: LoaderContext,
      config: LoaderConfiguration,
      callbacks: LoaderCallbacks<LoaderContext>,
      mayRenew: boolean,
    ): void {
      this.#http.load(context, config, {
        ...callbacks,
        onError: (error, of, details, stats) => {
          if (!mayRenew || !renewable.has(error.code)) return callbacks.onError(error, of, details, stats);
          const again = (): void => {
            if (this.#over) return;
            this.#http = this.#makeHttp();
            this.#fetch(context, config, callbacks, false);
          };
          renew().then(again, () => callbacks.onError(error, of, details, stats));
        },
      });
    }
  };
}

/** Paths → playlists (text) and init segments (bytes) that need no request. */
function partsOf({
  base,
  master,
  playlists,
  inits,
}: TitleDetail): Map<string, string | Uint8Array<ArrayBuffer>> {
  const parts = new Map<string, string | Uint8Array<ArrayBuffer>>();
  parts.set(masterPath(base), master);
  for (const [id, text] of Object.entries(playlists)) parts.set(`${base}${id}/index.m3u8`, text);
  for (const [id, text] of Object.entries(inits)) {
    parts.set(`${base}${id}/init.mp4`, Uint8Array.fromBase64(text, { alphabet: "base64url" }));
  }
  return parts;
}

export function masterPath(base: string): string {
  return `${base}master.m3u8`;
}
