import { execFile } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CertificateSource } from "../certificates.ts";
import { describeIdentity, type Identity, isPair } from "../identity.ts";
import { exportKey, keyAlgorithm, loadX509 } from "../keys.ts";
import { readPair, writePair } from "../pairFiles.ts";
import { AcmeClient, type ShowRecord } from "./client.ts";

/** What the operator said of an ACME authority. */
export interface AcmeOptions {
  readonly email: string;
  /** A program that is called with `present` or `cleanup`, the record's name and its value. */
  readonly hook: string;
  readonly directory: string;
  /** PEM file of the authority that vouches for the directory's own TLS. */
  readonly ca?: string;
}

/** After a failure it is tried again so much later, twice as much after each further one. ms */
const firstPause = 15 * 60_000;
const longestPause = 12 * 3_600_000;
/** DNS may take minutes to show a record, and the hook waits for that. ms */
const hookPatience = 10 * 60_000;

const run = promisify(execFile);
const accountFile = "acme-account.key";
const pairFiles = "acme";

/**
 * Certificates for `name` by DNS-01. Until the first is there, and whenever the one at hand has ended, `own` is shown.
 * One is renewed when a third of its life is left.
 */
export async function acmeCertificates(
  of: AcmeOptions & { readonly folder: string; readonly name: string; readonly own: Identity },
): Promise<CertificateSource> {
  const ca = of.ca === undefined ? undefined : await readFile(of.ca, "utf8");
  let failures = 0;
  let notBefore = 0;
  return {
    kind: "acme",
    first: (await stored(of)) ?? of.own,
    next: async (current, stop) => {
      if (current.authority === null && !isDue(current)) return undefined;
      if (Date.now() < notBefore) return undefined;
      try {
        const pair = await obtain({ ...of, pem: ca, stop });
        const identity = describeIdentity(pair, null);
        await writePair(join(of.folder, pairFiles), pair);
        failures = 0;
        return identity;
      } catch (cause) {
        notBefore = Date.now() + Math.min(firstPause * 2 ** failures, longestPause);
        failures++;
        const again = new Date(notBefore).toISOString();
        throw new Error(`${(cause as Error).message}; tried again from ${again} on`, { cause });
      }
    },
  };
}

/** What an earlier run got, while it is good and for this name. */
async function stored({ folder, name }: { folder: string; name: string }): Promise<Identity | undefined> {
  const pair = await readPair(join(folder, pairFiles));
  if (!pair || !isPair(pair)) return undefined;
  const certificate = new X509Certificate(pair.cert);
  const good = certificate.validToDate.getTime() > Date.now() && certificate.checkHost(name) !== undefined;
  return good ? describeIdentity(pair, null) : undefined;
}

function isDue({ cert }: Identity): boolean {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const life = validToDate.getTime() - validFromDate.getTime();
  return validToDate.getTime() - Date.now() < life / 3;
}

async function obtain(
  of: AcmeOptions & {
    readonly folder: string;
    readonly name: string;
    readonly pem: string | undefined;
    readonly stop: AbortSignal;
  },
): Promise<{ cert: string; key: string }> {
  const { stop, name } = of;
  const key = await accountKey(join(of.folder, accountFile));
  const client = new AcmeClient({ directoryUrl: of.directory, ca: of.pem, key, stop });
  await client.register(of.email);
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const makeRequest = async (): Promise<Buffer> => {
    const x509 = await loadX509();
    const names = new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]);
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      keys,
      signingAlgorithm: keyAlgorithm,
      extensions: [names],
    });
    return Buffer.from(request.rawData);
  };
  const cert = await client.order(name, { show: byHook(of.hook), makeRequest });
  return { cert, key: await exportKey(keys.privateKey) };
}

/** The shape that ACME clients give their hooks: no shell, fixed arguments, a dot behind the whole name. */
function byHook(program: string): ShowRecord {
  const call = async (
    what: "present" | "cleanup",
    record: { name: string; value: string },
    signal?: AbortSignal,
  ) => {
    try {
      const options = { timeout: hookPatience, maxBuffer: 65_536, ...(signal ? { signal } : {}) };
      await run(program, [what, `${record.name}.`, record.value], options);
    } catch (cause) {
      const { code, signal: by } = cause as { code?: number | string; signal?: string };
      throw new Error(`${program} ${what} failed (${code ?? by ?? "no reason"})`, { cause });
    }
  };
  return async (record, stop) => {
    await call("present", record, stop);
    // A record that stays is of no use to anybody; one that is taken out after the server has ended holds up its end.
    return async () => {
      if (!stop.aborted) await call("cleanup", record);
    };
  };
}

async function accountKey(path: string): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(path, "utf8"));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(path, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flush: true });
  return privateKey;
}
