import { BlockList, isIP } from "node:net";
import { StartError } from "./startError.ts";

/** True for an address of this computer's loopback interface. */
export function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

/** The address itself: an IPv4 one that is written as IPv6 (::ffff:a.b.c.d, in any spelling) as IPv4, without a zone. */
export function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, "").toLowerCase();
  if (isIP(bare) !== 6) return bare;
  const groups = groupsOf(bare);
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!mapped) return bare;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

/** What one visitor is counted by: an IPv4 address, or the /64 that a provider gives to one home (RFC 6177). */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  const home = groupsOf(plain).slice(0, 4);
  return `${home.map((group) => group.toString(16)).join(":")}::/64`;
}

/** The address in one value of X-Forwarded-For, which some proxies write with a port; undefined when there is none. */
export function forwardedAddress(value: string): string | undefined {
  const bracketed = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(value)?.[1];
  const withPort = /^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$/.exec(value)?.[1];
  const address = bracketed ?? withPort ?? value;
  return isIP(address) === 0 ? undefined : plainAddress(address);
}

/** The eight groups of an IPv6 address without a zone (RFC 4291 §2.2). */
function groupsOf(address: string): number[] {
  const [front = "", back] = address.split("::");
  const before = parts(front);
  const after = back === undefined ? [] : parts(back);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function parts(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((part) => {
    if (!part.includes(".")) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** The proxies whose word is believed. */
export class Proxies {
  readonly #list = new BlockList();

  /** Addresses, or networks as `10.0.0.0/8`. Throws StartError for what is neither. */
  constructor(addresses: readonly string[]) {
    for (const address of addresses) this.#add(address);
  }

  has(address: string): boolean {
    return isIP(address) !== 0 && this.#list.check(address, family(address));
  }

  #add(text: string): void {
    const [address = "", prefix] = text.split("/");
    const bits = prefix === undefined ? undefined : Number(prefix);
    const most = isIP(address) === 6 ? 128 : 32;
    if (
      isIP(address) === 0 ||
      (bits !== undefined && !(Number.isInteger(bits) && bits >= 0 && bits <= most))
    ) {
      throw new StartError(`${JSON.stringify(text)} is not an address of a proxy`);
    }
    if (bits === undefined) this.#list.addAddress(address, family(address));
    else this.#list.addSubnet(address, bits, family(address));
  }
}

function family(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
