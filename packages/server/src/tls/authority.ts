import { createHash, createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { fromBase64url, type Hash, toBase64url } from "@snug/protocol";
import { StartError } from "../startError.ts";
import { encodeNameConstraints, isLocalAddress, nameConstraintsOid } from "./nameConstraints.ts";

const day = 24 * 3_600_000;
/** Browsers refuse leaf certificates that live longer than 398 days. */
const leafDays = 397;
const authorityDays = 3650;
/** A leaf that ends sooner than this is made anew at start. */
const renewBefore = 60 * day;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** What the TLS server needs, and what others may know of it. */
export interface Identity {
  /** PEM, leaf first. */
  readonly cert: string;
  readonly key: string;
  /** Our own authority; null when the operator gave a certificate. */
  readonly authority: { readonly pem: string; readonly hash: Hash } | null;
  /** SHA-256 of the authority's certificate (or of the given one), hex with colons. */
  readonly fingerprint: string;
  /** Base64 SHA-256 of the leaf's SubjectPublicKeyInfo. */
  readonly spki: string;
}

/** A certificate and key that the operator gave as files. Throws StartError when they can't be used. */
export async function readGivenIdentity(certFile: string, keyFile: string): Promise<Identity> {
  const read = (path: string): Promise<string> =>
    readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
      throw new StartError(`${path} can't be read (${cause.code})`, { cause });
    });
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)]);
  try {
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) throw new Error("another key's");
  } catch (cause) {
    throw new StartError(`${certFile} and ${keyFile} are not a PEM certificate and its private key`, {
      cause,
    });
  }
  return describe(cert, key, null);
}

/**
 * Our own authority and leaf in `folder`, made at the first start. The leaf is renewed when it ends soon or lacks
 * one of the names; the authority only when it may not vouch for a name, since clients pin it.
 */
export async function openOwnIdentity(folder: string, names: readonly string[]): Promise<Identity> {
  const file = (name: string): string => join(folder, name);
  const lasting = names.filter((name) => !isIP(name) || !isLocalAddress(name));
  let authority = await readPair(file("authority"));
  if (!authority || !covers(await readFile(file("names"), "utf8"), lasting)) {
    authority = await makeAuthority(lasting);
    await writePair(file("authority"), authority);
    await writeFile(file("names"), lasting.join("\n"), { mode: 0o600, flush: true });
  }
  let leaf = await readPair(file("server"));
  if (!leaf || !isFresh(leaf.cert, authority.cert, names)) {
    leaf = await makeLeaf(authority, names);
    await writePair(file("server"), leaf);
  }
  return describe(`${leaf.cert}\n${authority.cert}`, leaf.key, authority.cert);
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function covers(text: string, names: readonly string[]): boolean {
  const known = text.split("\n");
  return names.every((name) => known.includes(name));
}

function isFresh(leaf: string, authority: string, names: readonly string[]): boolean {
  const certificate = new X509Certificate(leaf);
  return (
    certificate.validToDate.getTime() - Date.now() > renewBefore &&
    certificate.checkIssued(new X509Certificate(authority)) &&
    names.every(
      (name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined,
    )
  );
}

function describe(cert: string, key: string, authority: string | null): Identity {
  const leaf = new X509Certificate(cert);
  const root = new X509Certificate(authority ?? cert);
  const spki = leaf.publicKey.export({ type: "spki", format: "der" });
  const hash = toBase64url(createHash("sha256").update(root.raw).digest()) as Hash;
  return {
    cert,
    key,
    authority: authority === null ? null : { pem: authority, hash },
    fingerprint: hexPairs(fromBase64url(hash)),
    spki: createHash("sha256").update(spki).digest("base64"),
  };
}

function hexPairs(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}

async function readPair(path: string): Promise<Pair | undefined> {
  try {
    const [cert, key] = await Promise.all([readFile(`${path}.crt`, "utf8"), readFile(`${path}.key`, "utf8")]);
    return { cert, key };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}

/** The key first: a certificate without its key would look whole. */
async function writePair(path: string, pair: Pair): Promise<void> {
  for (const [name, text] of [
    [`${path}.key`, pair.key],
    [`${path}.crt`, pair.cert],
  ] as const) {
    await writeFile(`${name}.new`, text, { mode: 0o600, flush: true });
    await rename(`${name}.new`, name);
  }
}

// A hundred milliseconds to load, and needed at first starts and renewals only.
async function loadX509(): Promise<typeof import("@peculiar/x509")> {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

async function exportKey(key: CryptoKey): Promise<string> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)?.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

function lifetime(days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  // An hour back, for clients whose clock is behind.
  const start = Date.now() - 3_600_000;
  return { notBefore: new Date(start), notAfter: new Date(start + days * day) };
}

async function makeAuthority(names: readonly string[]): Promise<Pair> {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Snug authority ${randomBytes(4).toString("hex")}`,
    ...lifetime(authorityDays),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.Extension(nameConstraintsOid, true, encodeNameConstraints(names)),
    ],
  });
  return { cert: certificate.toString("pem"), key: await exportKey(keys.privateKey) };
}

async function makeLeaf(authority: Pair, names: readonly string[]): Promise<Pair> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(authority.cert);
  const pkcs8 = createPrivateKey(authority.key).export({ type: "pkcs8", format: "der" });
  const signingKey = await crypto.subtle.importKey("pkcs8", new Uint8Array(pkcs8), algorithm, false, [
    "sign",
  ]);
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "CN=Snug server",
    issuer: issuer.subject,
    ...lifetime(leafDays),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: certificate.toString("pem"), key: await exportKey(keys.privateKey) };
}

/** 127 random bits, positive and not zero-led in DER. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
