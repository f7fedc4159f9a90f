import { BlockList, isIP } from "node:net";

/** OID of the extension (RFC 5280 §4.2.1.10). */
export const nameConstraintsOid = "2.5.29.30";

/** Networks that are never another site's on the internet: loopback (RFC 1122), private (RFC 1918), unique local (RFC 4193). */
const localNetworks = [
  { address: "127.0.0.0", prefix: 8 },
  { address: "10.0.0.0", prefix: 8 },
  { address: "172.16.0.0", prefix: 12 },
  { address: "192.168.0.0", prefix: 16 },
  { address: "::1", prefix: 128 },
  { address: "fc00::", prefix: 7 },
] as const;

const local = new BlockList();
for (const { address, prefix } of localNetworks) local.addSubnet(address, prefix, family(address));

function family(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** Whether an address is of the networks that the authority may vouch for without naming it. */
export function isLocalAddress(address: string): boolean {
  return local.check(address, family(address));
}

/**
 * The DER of a NameConstraints extension that permits exactly these names (and names below them), these addresses,
 * and the local networks: whoever installs the authority trusts it for nothing else.
 */
export function encodeNameConstraints(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const subtrees = names.map((name) =>
    isIP(name)
      ? subtree(0x87, [...addressBytes(name), ...mask(addressBytes(name).length, 128)])
      : subtree(0x82, [...Buffer.from(name, "ascii")]),
  );
  for (const { address, prefix } of localNetworks) {
    const bytes = addressBytes(address);
    subtrees.push(subtree(0x87, [...bytes, ...mask(bytes.length, prefix)]));
  }
  return Uint8Array.from(tagged(0x30, tagged(0xa0, subtrees.flat())));
}

function subtree(tag: number, base: readonly number[]): number[] {
  return tagged(0x30, tagged(tag, base));
}

function tagged(tag: number, content: readonly number[]): number[] {
  const length = content.length;
  if (length < 128) return [tag, length, ...content];
  if (length < 256) return [tag, 0x81, length, ...content];
  return [tag, 0x82, length >> 8, length & 255, ...content];
}

/** `prefix` one-bits, at most as many as there are, then zeros. */
function mask(bytes: number, prefix: number): number[] {
  return Array.from({ length: bytes }, (_, at) => {
    const ones = Math.min(8, Math.max(0, prefix - at * 8));
    return (0xff << (8 - ones)) & 0xff;
  });
}

/** The 4 or 16 bytes of an address in text. */
function addressBytes(address: string): number[] {
  if (isIP(address) === 4) return address.split(".").map(Number);
  const [head = "", tail] = address.toLowerCase().split("%")[0]?.split("::") ?? [];
  const groups = (text: string | undefined): number[] =>
    (text ?? "")
      .split(":")
      .filter((group) => group !== "")
      .flatMap((group) =>
        group.includes(".")
          ? group.split(".").map(Number)
          : [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255],
      );
  const first = groups(head);
  const last = groups(tail);
  return [...first, ...Array.from({ length: 16 - first.length - last.length }, () => 0), ...last];
}
