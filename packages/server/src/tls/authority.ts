import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import type { CertificateSource } from "./certificates.ts";
import { describeIdentity, type Identity, isPair, type Pair } from "./identity.ts";
import { keyAlgorithm as algorithm, exportKey, loadX509 } from "./keys.ts";
import { encodeNameConstraints, isLocalAddress, nameConstraintsOid } from "./nameConstraints.ts";
import { readPair, writePair } from "./pairFiles.ts";

const day = 24 * 3_600_000;
/** Browsers refuse leaf certificates that live longer than 398 days. */
const leafDays = 397;
const authorityDays = 3650;
/** A leaf that ends sooner than this is made anew. */
const renewBefore = 60 * day;

/**
 * Our own authority and leaf in `folder`, made at the first start. The leaf is renewed when it ends soon or lacks
 * one of the names; the authority only when it may not vouch for a name, since clients pin it: a clock that
 * ran years ahead for one start would lock them all out. Its end is the doctor's to tell.
 */
export async function openOwnIdentity(folder: string, names: readonly string[]): Promise<Identity> {
  const lasting = names.filter((name) => !isAlwaysAllowed(name));
  let authority = await readPair(join(folder, authorityFiles));
  if (!authority || !isPair(authority) || !lasting.every(await allowedBy(folder))) {
    authority = await makeAuthority(lasting);
    await writePair(join(folder, authorityFiles), authority);
    await writeFile(join(folder, namesFile), lasting.join("\n"), { mode: 0o600, flush: true });
  }
  return freshLeaf(folder, authority, names);
}

/**
 * The same as a source: `names` is asked again each time, since addresses come and go. While the server runs its
 * authority stays: a machine that got another name meanwhile must not lock out the clients that pinned it.
 */
export async function ownCertificates(folder: string, names: () => string[]): Promise<CertificateSource> {
  return {
    kind: "own",
    first: await openOwnIdentity(folder, names()),
    next: async (current) => {
      const authority = await readPair(join(folder, authorityFiles));
      if (!authority) throw new Error(`the server's own authority is missing in ${folder}`);
      const allowed = await allowedBy(folder);
      const renewed = await freshLeaf(
        folder,
        authority,
        names().filter((name) => isAlwaysAllowed(name) || allowed(name)),
      );
      return renewed.cert === current.cert ? undefined : renewed;
    },
  };
}

const authorityFiles = "authority";
const leafFiles = "server";
const namesFile = "names";

async function freshLeaf(folder: string, authority: Pair, names: readonly string[]): Promise<Identity> {
  let leaf = await readPair(join(folder, leafFiles));
  if (!leaf || !isFresh(leaf, authority.cert, names)) {
    leaf = await makeLeaf(authority, names);
    await writePair(join(folder, leafFiles), leaf);
  }
  return describeIdentity({ cert: `${leaf.cert}\n${authority.cert}`, key: leaf.key }, authority.cert);
}

function isAlwaysAllowed(name: string): boolean {
  return isIP(name) !== 0 && isLocalAddress(name);
}

/** What the authority may vouch for, besides local networks. */
async function allowedBy(folder: string): Promise<(name: string) => boolean> {
  const known = (await readFile(join(folder, namesFile), "utf8")).split("\n");
  return (name) => known.includes(name);
}

function isFresh(leaf: Pair, authority: string, names: readonly string[]): boolean {
  const certificate = new X509Certificate(leaf.cert);
  return (
    // A crash between the two files leaves a new key beside the certificate of the one before.
    isPair(leaf) &&
    // One from the future was made before the clock was set right: nobody takes it until then (P42).
    certificate.validFromDate.getTime() <= Date.now() &&
    certificate.validToDate.getTime() - Date.now() > renewBefore &&
    certificate.checkIssued(new X509Certificate(authority)) &&
    names.every(
      (name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined,
    )
  );
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
