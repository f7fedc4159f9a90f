import type { Hash } from "@snug/protocol";

/** An answer by HTTP above so many bytes is not read on: none that is right is as large. */
export const largestAnswer: number = 16 * 1024 * 1024;

/** What a socket tells its opener. `closed` comes exactly once, also when it never opened. */
export interface SocketEvents {
  opened(): void;
  received(frame: Uint8Array): void;
  closed(reason: { readonly code: number; readonly reason: string }): void;
}

export interface Socket {
  send(frame: Uint8Array): void;
  close(): void;
}

/** Where the server is, and what its certificate is judged by. */
export interface Address {
  /** `https://host:port`, or `http://localhost:port`. */
  readonly origin: string;
  /** The server's own TLS authority (PEM) as {@link Platform.pin} returned it; null where the system's list decides. */
  readonly authority: string | null;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string;
}

/** The few things a client needs from where it runs. */
export interface Platform {
  /** The only origin this client may talk to (a browser's page), or null. */
  readonly origin: string | null;
  /** Whether media is asked for by an element that only a cookie authorises. */
  readonly needsCookie: boolean;
  /** Fetches the authority's certificate and compares its SHA-256. Throws SnugError `forbidden`, NetworkError. */
  pin(origin: string, authority: Hash | null): Promise<string | null>;
  openSocket(address: Address, events: SocketEvents): Socket;
  /** Any status is an answer; `body` is parsed JSON or null. Throws NetworkError when there is no answer. */
  fetch(address: Address, request: HttpRequest): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once after `ms`; returns the way to call it off. */
  after(ms: number, call: () => void): () => void;
  /** In [0, 1), for spreading reconnects. */
  random(): number;
  /** Calls when the network may be back. Returns the way to stop. */
  onNetwork(listener: () => void): () => void;
}
