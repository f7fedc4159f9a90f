import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A page of somebody else's, on a port of its own, under any name that leads to this computer. */
export class ForeignSite implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open(): Promise<ForeignSite> {
    const server = createServer((_request, response) => {
      // Nothing here forbids the page anything: what fails, our server refused.
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end("<!doctype html><title>Other</title><p>Nice pictures, come and look");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new ForeignSite(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** How a page asks; the visitor's cookies always go with it. */
interface Asking {
  readonly method?: string;
  readonly mode?: "no-cors";
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/** One way that a page has to another origin, with the visitor's cookies. */
export type Attempt =
  | { readonly by: "fetch"; readonly url: string; readonly init: Asking }
  | { readonly by: "element"; readonly tag: string; readonly members: Readonly<Record<string, string>> }
  | { readonly by: "form" | "beacon" | "events"; readonly url: string }
  | { readonly by: "socket"; readonly url: string; readonly subprotocols: readonly string[] };

/** What there is to be had on a server: paths by what they are. */
export interface Treasure {
  readonly pages: readonly string[];
  readonly pictures: readonly string[];
  readonly scripts: readonly string[];
  readonly styles: readonly string[];
  readonly films: readonly string[];
  readonly posts: readonly string[];
}

/** Every attempt on every treasure of an origin. */
export function attemptsOn(origin: string, of: Treasure, socket: { path: string; name: string }): Attempt[] {
  const element = (tag: string, attribute: string, paths: readonly string[], more = {}): Attempt[] =>
    paths.map((path) => ({ by: "element", tag, members: { [attribute]: `${origin}${path}`, ...more } }));
  const everything = [of.pages, of.pictures, of.scripts, of.styles, of.films].flat();
  const urls = (paths: readonly string[]): string[] => paths.map((path) => `${origin}${path}`);
  const json = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
  const inits: Asking[] = [{}, { mode: "no-cors" }, { method: "HEAD" }];
  const posts: Asking[] = [json, { method: "POST", body: "{}", mode: "no-cors" }, { method: "DELETE" }];
  const url = `${origin.replace(/^http/, "ws")}${socket.path}`;
  const withCookies = { crossOrigin: "use-credentials" };
  return [
    ...urls(everything).flatMap((url) => inits.map((init): Attempt => ({ by: "fetch", url, init }))),
    ...urls(of.posts).flatMap((url) => posts.map((init): Attempt => ({ by: "fetch", url, init }))),
    ...urls(of.posts).flatMap((url): Attempt[] => [
      { by: "form", url },
      { by: "beacon", url },
    ]),
    ...element("img", "src", [...of.pictures, ...of.pages]),
    ...element("img", "src", of.pictures, withCookies),
    ...element("script", "src", [...of.scripts, ...of.pages]),
    ...element("script", "src", of.scripts, { type: "module", ...withCookies }),
    ...element("link", "href", of.styles, { rel: "stylesheet" }),
    ...[...element("video", "src", of.films), ...element("audio", "src", of.films)],
    ...[...element("iframe", "src", of.pages), ...element("object", "data", of.pages)],
    ...[[], [socket.name]].map((subprotocols): Attempt => ({ by: "socket", url, subprotocols })),
    ...urls(of.pages).map((url): Attempt => ({ by: "events", url })),
  ];
}

/**
 * Runs in the other site's page, all by itself, and tells of each attempt what it got: "nothing" where that was nothing.
 * Each ends by an event of its own; one that has none for `patience` ms is told as that.
 */
export function tryAll(of: { attempts: Attempt[]; patience: number }): Promise<string[]> {
  const heard = (start: (end: (got: string) => void) => void): Promise<string> =>
    new Promise((resolve) => {
      setTimeout(() => resolve("no event"), of.patience);
      start(resolve);
    });
  // Of a page that came, or of the browser's words in its place, nothing can be seen from here; an empty frame is the
  // page's own, and what it waits for is still to come.
  const isForeign = (made: HTMLElement): boolean => (made as HTMLIFrameElement).contentDocument === null;
  const element = (tag: string, members: Readonly<Record<string, string>>): Promise<string> =>
    heard((end) => {
      const made = Object.assign(document.createElement(tag), members);
      made.addEventListener("error", () => end("nothing"));
      for (const good of ["load", "loadedmetadata"]) {
        made.addEventListener(good, () => {
          if (!/iframe|object/.test(tag)) end(good);
          else if (isForeign(made)) end("nothing");
        });
      }
      document.body.append(made);
    });
  const form = (url: string): Promise<string> => {
    const made = Object.assign(document.createElement("form"), { method: "post", enctype: "text/plain" });
    const sent = element("iframe", { name: url });
    document.body.append(Object.assign(made, { action: url, target: url }));
    made.submit();
    return sent;
  };
  const attempt = async (one: Attempt): Promise<string> => {
    switch (one.by) {
      case "fetch":
        return fetch(one.url, { credentials: "include", ...one.init }).then(
          async (answer) => `${answer.type} ${answer.status} ${await answer.text()}`,
          () => "nothing",
        );
      case "element":
        return element(one.tag, one.members);
      case "form":
        return form(one.url);
      case "beacon":
        navigator.sendBeacon(one.url, new Blob(["{}"], { type: "text/plain" }));
        return "nothing";
      case "socket":
        return heard((end) => {
          const socket = new WebSocket(one.url, [...one.subprotocols]);
          socket.addEventListener("open", () => end("open"));
          socket.addEventListener("close", ({ code }) => end(code === 1006 ? "nothing" : `closed ${code}`));
        });
      case "events":
        return heard((end) => {
          const source = new EventSource(one.url, { withCredentials: true });
          source.addEventListener("open", () => end("open"));
          source.addEventListener("error", () => end("nothing"));
        });
    }
  };
  return Promise.all(of.attempts.map(attempt));
}
