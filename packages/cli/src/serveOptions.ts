import { isIP } from "node:net";
import { InvalidArgumentError, Option } from "commander";

/** What `snug serve` was told, parsed. */
export interface ServeOptions {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly videos: string;
  readonly name?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly acmeEmail?: string;
  readonly acmeDnsHook?: string;
  readonly acmeDirectory?: string;
  readonly acmeCa?: string;
  readonly trustProxy?: string[];
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly accounts?: number;
  readonly log?: "silent" | "warn" | "info";
  readonly json?: true;
}

/** The flags of `snug serve` that say which server is meant. */
export const doctorFlags = ["port", "host", "data", "name", "cert", "key"] as const;
export type DoctorOptions = Pick<ServeOptions, (typeof doctorFlags)[number]>;

/** The flags of `snug serve`, and the environment that stands in for them. */
export function serveOptions(): Option[] {
  return [
    new Option("--port <number>", "the one port for everything; 0 picks a free one")
      .env("SNUG_PORT")
      .default(10000)
      .argParser(wholeNumber(0, 65_535)),
    new Option("--host <address>", "the address to listen on").default("0.0.0.0"),
    dataOption(),
    new Option("--videos <folder>", "the folder of videos")
      .env("SNUG_VIDEOS")
      .default("./videos")
      .argParser(folder),
    new Option(
      "--name <name>",
      "the host name that others reach this server by; behind a proxy also NAME:PORT",
    ),
    new Option("--cert <file>", "TLS certificate chain (PEM), with --key"),
    new Option("--key <file>", "private key of --cert (PEM)"),
    new Option(
      "--acme-email <address>",
      "get the certificate of --name from an ACME authority (Let's Encrypt)",
    ),
    new Option(
      "--acme-dns-hook <program>",
      "is called with present or cleanup, a TXT record's name and its value",
    ),
    new Option("--acme-directory <url>", "another ACME authority's directory"),
    new Option("--acme-ca <file>", "the authority of that directory's own TLS (PEM)"),
    new Option("--trust-proxy <addresses>", "proxies whose forwarding headers count, with commas").argParser(
      addresses,
    ),
    new Option(
      "--metrics <host:port>",
      "show Prometheus metrics and /healthz there, in plain HTTP, for you alone: 127.0.0.1:9464",
    ).argParser(hostAndPort),
    new Option("--accounts <number>", "the most accounts to take, those that have left among them").argParser(
      wholeNumber(1, 1_000_000),
    ),
    new Option(
      "--log <level>",
      "what is written to stderr, one JSON object a line (default: warn; info with --json)",
    ).choices(["silent", "warn", "info"]),
  ];
}

export function dataOption(): Option {
  return new Option("--data <folder>", "the server's data folder")
    .env("SNUG_DATA")
    .default("./data")
    .argParser(folder);
}

/** A parser for a folder's path: what looks like one and is none, makes a folder where nobody looks for it. */
export function folder(path: string): string {
  if (path === "") throw new InvalidArgumentError("It must name a folder.");
  if (!/^~(\/|$)/.test(path)) return path;
  throw new InvalidArgumentError("Only a shell knows what ~ is, unquoted: write the whole path.");
}

/** A parser for a whole number in a range, both ends included. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** `127.0.0.1:9464`, `[::1]:9464`. */
function hostAndPort(text: string): { host: string; port: number } {
  const { host, six, port } =
    /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  const address = six ?? host;
  if (address !== undefined && isIP(address) === (six === undefined ? 4 : 6) && Number(port) <= 65_535) {
    return { host: address, port: Number(port) };
  }
  throw new InvalidArgumentError("It must be an IP address and a port: 127.0.0.1:9464 or [::1]:9464.");
}

function addresses(text: string): string[] {
  const list = text.split(",").map((part) => part.trim());
  const wrong = list.find((part) => !isAddressOrRange(part));
  if (wrong === undefined) return list;
  throw new InvalidArgumentError("It must be IP addresses or ranges such as 10.0.0.0/8, with commas.");
}

function isAddressOrRange(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
