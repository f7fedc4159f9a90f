import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import type { TLSSocket } from "node:tls";
import { forwardedAddress, isLoopback, networkOf, Proxies, plainAddress } from "./addresses.ts";
import { StartError } from "./startError.ts";
import { isLocalAddress } from "./tls/nameConstraints.ts";

const loopbackHosts = ["localhost", "127.0.0.1", "::1"];
const wildcards = ["0.0.0.0", "::"];

/** Headers that only somebody in between writes. */
const forwarder = /^(?:forwarded|via|x-forwarded-.*|x-real-ip)$/;

/** How one request came, as far as it can be believed. */
export interface Visit {
  /** `https` also for a trusted proxy that says so. */
  readonly scheme: "http" | "https";
  /** What a visitor is counted by; null for a program on this computer itself, which is not counted. */
  readonly network: string | null;
  /** Whether the whole app may be shown: https, or plain http that never left this computer. */
  readonly whole: boolean;
}

/** What is wrong with a request before anything is looked at, or how it came. */
export type Judgement =
  | { readonly ok: true; readonly visit: Visit }
  | { readonly ok: false; readonly status: 400 | 403 | 421; readonly why: string };

/** The names this server answers to, and who its proxies are. */
export class Site {
  readonly name: string;
  readonly #hosts: ReadonlySet<string>;
  readonly #proxies: Proxies;
  readonly #bound: string;
  readonly #named: string | undefined;
  /** The one https origin that a proxy with a certificate of its own shows to everybody. */
  readonly #proxied: string | undefined;

  /**
   * Behind a proxy the name may carry the port that the proxy listens on, 443 without.
   * Throws StartError for a name or a proxy address that is none.
   */
  constructor(of: {
    readonly host: string;
    readonly name?: string;
    readonly trustProxy?: readonly string[];
  }) {
    const behindProxy = (of.trustProxy ?? []).length > 0;
    const given = of.name?.toLowerCase();
    const port = behindProxy ? given?.match(/^[^:]+:(?<port>[1-9]\d{0,4})$/)?.groups?.port : undefined;
    const name = port === undefined ? given : given?.slice(0, -port.length - 1);
    if (name !== undefined && (!isHostName(name) || Number(port ?? 0) > 65_535)) {
      throw new StartError(`${JSON.stringify(of.name)} is not a host name`);
    }
    if (behindProxy && name !== undefined) {
      this.#proxied = new URL(`https://${bracketed(name)}:${port ?? 443}`).origin;
    }
    this.#named = name;
    this.#bound = of.host;
    this.name = name ?? machineName();
    this.#hosts = new Set([...loopbackHosts, this.name, machineName(), ...ownAddresses()]);
    this.#proxies = new Proxies(of.trustProxy ?? []);
  }

  /** Names and addresses for the certificate. */
  certificateNames(): string[] {
    const local = ownAddresses().filter(isLocalAddress);
    return [...new Set([...loopbackHosts, this.name, machineName(), ...local])];
  }

  /** Whether visitors meet a proxy's certificate, for which a public authority vouches, in place of this server's. */
  get proxied(): boolean {
    return this.#proxied !== undefined;
  }

  /** https origins for invites, best first. */
  addresses(port: number): string[] {
    // A link carries one answer to who vouches for the certificate: the server's own port would have another.
    if (this.#proxied !== undefined) return [this.#proxied];
    const everywhere = wildcards.includes(this.#bound);
    const local = everywhere || loopbackHosts.includes(this.#bound) ? ["localhost"] : [this.#bound];
    const network = everywhere ? ownAddresses().filter((address) => isIP(address) === 4) : [];
    const names = [...(this.#named === undefined ? [] : [this.#named]), ...local, ...network];
    return [...new Set(names)].slice(0, 7).map((host) => `https://${bracketed(host)}:${port}`);
  }

  /** The same for the setup link: first this computer's plain origin, where the server listens there. */
  linkAddresses(port: number): string[] {
    const home = wildcards.includes(this.#bound) || loopbackHosts.includes(this.#bound);
    return [...(home ? [this.localOrigin(port)] : []), ...this.addresses(port)];
  }

  /** The origin that browsers on this computer trust without a certificate. */
  localOrigin(port: number): string {
    return `http://localhost:${port}`;
  }

  /** Checks Host and Origin, which keep other sites and rebound names (DNS rebinding) out. */
  judge(request: IncomingMessage): Judgement {
    if (!namesOneHost(request))
      return { ok: false, status: 400, why: "a request names one host, in its header" };
    const { peer, forwarded } = this.#originOf(request);
    const host = forwarded.host ?? request.headers.host ?? "";
    const hostName = hostNameOf(host);
    if (hostName === undefined || !this.#knows(hostName)) {
      return { ok: false, status: 421, why: "this server has another name" };
    }
    const encrypted = (request.socket as Partial<TLSSocket>).encrypted === true;
    const scheme = encrypted || forwarded.scheme === "https" ? "https" : "http";
    const origin = request.headers.origin;
    if (origin !== undefined && origin !== `${scheme}://${host.toLowerCase()}`) {
      return { ok: false, status: 403, why: "this request comes from another site" };
    }
    const local = isLoopback(peer) && !forwarded.any;
    const whole = scheme === "https" || (local && loopbackHosts.includes(hostName));
    return {
      ok: true,
      visit: { scheme, network: local ? null : networkOf(forwarded.visitor), whole },
    };
  }

  /** Who asks, also of a request that was turned away: the peer, or whom a trusted proxy names. */
  addressOf(request: IncomingMessage): string {
    return this.#originOf(request).forwarded.visitor;
  }

  #originOf(request: IncomingMessage): { readonly peer: string; readonly forwarded: Forwarded } {
    const peer = plainAddress(request.socket.remoteAddress ?? "");
    return { peer, forwarded: this.#forwarded(request, peer) };
  }

  /** Whether connections of a peer are counted before they say anything: not those of proxies and of this computer. */
  isCounted(peer: string): boolean {
    const address = plainAddress(peer);
    return !isLoopback(address) && !this.#proxies.has(address);
  }

  /** What a proxy says, believed only of a trusted one; that something was forwarded is believed of everybody. */
  #forwarded({ headers }: IncomingMessage, peer: string): Forwarded {
    const any = Object.keys(headers).some((name) => forwarder.test(name));
    if (!this.#proxies.has(peer)) return { any, visitor: peer };
    const said = (name: string): string[] =>
      [headers[name]]
        .flat()
        .join(",")
        .split(",")
        .map((value) => value.trim());
    const last = (name: string): string | undefined => said(name).at(-1) || undefined;
    return {
      any,
      scheme: last("x-forwarded-proto"),
      host: last("x-forwarded-host"),
      visitor: this.#visitor(said("x-forwarded-for"), peer),
    };
  }

  /**
   * Each proxy adds at the end whom it was asked by: from there back to the first that is no proxy of ours, or to what
   * is no address. Whatever stands before that was written by the visitor.
   */
  #visitor(said: readonly string[], peer: string): string {
    let visitor = peer;
    for (const value of said.toReversed()) {
      const address = forwardedAddress(value);
      if (address === undefined) return visitor;
      visitor = address;
      if (!this.#proxies.has(address)) return visitor;
    }
    return visitor;
  }

  #knows(host: string): boolean {
    // Addresses come and go while the server runs.
    return this.#hosts.has(host) || (isIP(host) !== 0 && ownAddresses().includes(host));
  }
}

interface Forwarded {
  /** Whether any header says that somebody forwarded this. */
  readonly any: boolean;
  readonly scheme?: string | undefined;
  readonly host?: string | undefined;
  /** Who asks: the peer, or whom a trusted proxy names. */
  readonly visitor: string;
}

/** Node takes the first of several Host headers, and passes a target with a host of its own over: RFC 9112 §3.2 does not. */
function namesOneHost({ rawHeaders, url }: IncomingMessage): boolean {
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host");
  return hosts.length <= 1 && url?.startsWith("/") === true;
}

/** The name or address of a Host header, without port and brackets; undefined when it is malformed. */
function hostNameOf(host: string): string | undefined {
  const match = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+))(?::[0-9]{1,5})?$/i.exec(host);
  return (match?.groups?.six ?? match?.groups?.name)?.toLowerCase();
}

function isHostName(name: string): boolean {
  return (
    isIP(name) !== 0 ||
    /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
  );
}

function machineName(): string {
  const name = hostname().toLowerCase();
  return isHostName(name) ? name : "localhost";
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address.toLowerCase());
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
