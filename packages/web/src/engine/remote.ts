import { type Client, type ClientState, type Letter, NetworkError } from "@snug/client";
import { SnugError } from "@snug/protocol";
import type { Call, Failure, Method, Report } from "./messages.ts";

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };

/** What the tab needs of a worker. */
export interface Port {
  postMessage(call: Call): void;
  addEventListener(type: "message", listener: (event: MessageEvent<Report>) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  terminate(): void;
}

/** The client as the tab sees it; the same door, and the worker behind it. */
export type RemoteClient = Client & {
  /** Ends the worker without asking it: its store survives that by design. */
  terminate(): void;
};

/** Waits until the worker's client is open. Rejects with what stopped it. */
export function openRemoteClient(port: Port): Promise<RemoteClient> {
  return new Promise((resolve, reject) => {
    const link = new Link(port);
    port.addEventListener("error", (event) => {
      reject(new Error(event.message || "the part of Snug that keeps your keys could not start"));
    });
    port.addEventListener("message", ({ data }) => {
      if (data.is === "opened") resolve(remoteClient(link, data.state));
      else if (data.is === "failed") reject(fromFailure(data.failure));
    });
  });
}

class Link {
  readonly #port: Port;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor(port: Port) {
    this.#port = port;
    this.listen((report) => {
      if (report.is === "answer") this.#take(report.call)?.resolve(report.value);
      else if (report.is === "refusal") this.#take(report.call)?.reject(fromFailure(report.failure));
    });
  }

  listen(listener: (report: Report) => void): void {
    this.#port.addEventListener("message", ({ data }) => listener(data));
  }

  call<M extends Method>(method: M, ...args: Parameters<Client[M]>): ReturnType<Client[M]> {
    const call = ++this.#calls;
    const result = new Promise((resolve, reject) => this.#waiting.set(call, { resolve, reject }));
    this.#port.postMessage({ call, method, args });
    return result as ReturnType<Client[M]>;
  }

  terminate(): void {
    this.#port.terminate();
    for (const call of [...this.#waiting.keys()]) {
      this.#take(call)?.reject(new NetworkError("Snug was closed here"));
    }
  }

  #take(call: number): Waiting | undefined {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    return waiting;
  }
}

function remoteClient(link: Link, first: ClientState): RemoteClient {
  let state = first;
  const onState = new Set<() => void>();
  const onLetter = new Set<(letter: Letter) => void>();
  link.listen((report) => {
    if (report.is === "state") {
      state = report.state;
      for (const listener of onState) listener();
    } else if (report.is === "letter") {
      for (const listener of onLetter) listener(report.letter);
    }
  });
  return {
    get state() {
      return state;
    },
    subscribe: (listener) => added(onState, listener),
    onLetter: (listener) => added(onLetter, listener),
    lookAtInvite: (text) => link.call("lookAtInvite", text),
    join: (of) => link.call("join", of),
    send: (to, text) => link.call("send", to, text),
    settled: (id) => link.call("settled", id),
    letters: (of) => link.call("letters", of),
    markRead: (thread) => link.call("markRead", thread),
    invite: (of) => link.call("invite", of),
    invites: () => link.call("invites"),
    revokeInvite: (hash) => link.call("revokeInvite", hash),
    setBlocked: (account, blocked) => link.call("setBlocked", account, blocked),
    safetyNumber: (account) => link.call("safetyNumber", account),
    setVerified: (account, verified) => link.call("setVerified", account, verified),
    acceptNewKeys: (account) => link.call("acceptNewKeys", account),
    dismissNotice: (id) => link.call("dismissNotice", id),
    devices: (account) => link.call("devices", account),
    removeAccount: (account) => link.call("removeAccount", account),
    endDevice: (account, device) => link.call("endDevice", account, device),
    setRole: (account, role) => link.call("setRole", account, role),
    title: (id) => link.call("title", id),
    openMedia: () => link.call("openMedia"),
    playbackUrl: (id) => link.call("playbackUrl", id),
    signOut: () => link.call("signOut"),
    leave: () => link.call("leave"),
    close: () => link.call("close"),
    terminate: () => link.terminate(),
  };
}

function added<T>(set: Set<T>, one: T): () => void {
  set.add(one);
  return () => set.delete(one);
}

function fromFailure(failure: Failure): Error {
  if (failure.is === "snug") return new SnugError(failure.code, failure.message);
  if (failure.is === "network") return new NetworkError(failure.message);
  return new Error(failure.message);
}
