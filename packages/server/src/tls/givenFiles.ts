import { readFile } from "node:fs/promises";
import { StartError } from "../startError.ts";
import type { CertificateSource } from "./certificates.ts";
import { describeIdentity, type Identity } from "./identity.ts";

/** The PEM files that `--cert` and `--key` name. */
export interface GivenFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate and key that the operator gave as files. Throws StartError when they can't be used. */
export async function readGivenFiles({ cert, key }: GivenFiles): Promise<Identity> {
  const read = (path: string): Promise<string> =>
    readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
      throw new StartError(`${path} can't be read (${cause.code})`, { cause });
    });
  const pair = { cert: await read(cert), key: await read(key) };
  try {
    return describeIdentity(pair, null);
  } catch (cause) {
    throw new StartError(`${cert} and ${key} are not a PEM certificate and its private key`, { cause });
  }
}

/** The same as a source: the files are read again, since other programs renew them in place. Throws StartError. */
export async function givenCertificates(files: GivenFiles): Promise<CertificateSource> {
  return {
    kind: "files",
    first: await readGivenFiles(files),
    next: async (current) => {
      const found = await readGivenFiles(files);
      if (found.cert === current.cert && found.key === current.key) return undefined;
      if (found.ends <= Date.now() && current.ends > Date.now()) {
        throw new Error(
          `the certificate in ${files.cert} has ended on ${new Date(found.ends).toISOString()}`,
        );
      }
      return found;
    },
  };
}
