import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import type { FolderPaths } from "../folder.ts";
import { StartError } from "../startError.ts";
import { type GivenFiles, readGivenFiles } from "../tls/givenFiles.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const day = 24 * 3_600_000;

/** The certificate that the server shows, and whether it will do. */
export interface FoundCertificate {
  /** PEM, leaf first; undefined when there is none yet. */
  readonly cert: string | undefined;
  readonly finding: Finding;
}

export async function checkCertificate(of: {
  readonly paths: FolderPaths | undefined;
  readonly files: GivenFiles | undefined;
  readonly name: string | undefined;
}): Promise<FoundCertificate> {
  const { paths, files, name } = of;
  if (files) {
    try {
      const { cert } = await readGivenFiles(files);
      return { cert, finding: judgeCertificate({ cert, name, renewedBy: "you" }) };
    } catch (cause) {
      if (!(cause instanceof StartError)) throw cause;
      const finding = fail(
        "certificate",
        cause.message,
        "give the chain and its key, PEM, with --cert and --key",
      );
      return { cert: undefined, finding };
    }
  }
  if (!paths) {
    return {
      cert: undefined,
      finding: ok("certificate", "the first start makes an authority of the server's own"),
    };
  }
  const cert = await certificateIn(paths.tls, name);
  if (cert === undefined) {
    const finding = warn(
      "certificate",
      `there is none in ${paths.tls}`,
      "the next start makes one, and an authority: links change",
    );
    return { cert, finding };
  }
  const finding = judgeCertificate({ cert, name, renewedBy: "the server" });
  return {
    cert,
    finding: finding.verdict === "ok" ? await judgeAuthority(paths.tls, cert, finding) : finding,
  };
}

/** How long before its end people are told to make another: who has pinned it has to be told its fingerprint. ms */
const authorityNotice = 365 * day;

/** What is to be said of the authority behind a sound certificate of the server's own. */
async function judgeAuthority(folder: string, cert: string, sound: Finding): Promise<Finding> {
  const text = await readFile(join(folder, "authority.crt"), "utf8").catch(() => undefined);
  if (text === undefined) return sound;
  const authority = new X509Certificate(text);
  const ends = authority.validToDate;
  if (!new X509Certificate(cert).checkIssued(authority)) return sound;
  if (ends.getTime() - Date.now() > authorityNotice) return sound;
  return warn(
    "certificate",
    `${sound.fact}; the server's own authority ends ${ends.toISOString().slice(0, 10)}`,
    "before that: end the server, delete tls/authority.*, start it, and tell people the new fingerprint (snug --server)",
  );
}

/** What a server with this name would show: an ACME authority's certificate where there is one for it, else its own. */
async function certificateIn(folder: string, name: string | undefined): Promise<string | undefined> {
  const read = (file: string): Promise<string | undefined> =>
    readFile(join(folder, file), "utf8").catch(() => undefined);
  const acme = name === undefined ? undefined : await read("acme.crt");
  if (acme !== undefined && name !== undefined && covers(new X509Certificate(acme), name)) return acme;
  return read("server.crt");
}

export function judgeCertificate(of: {
  readonly cert: string;
  readonly name: string | undefined;
  readonly renewedBy: "you" | "the server";
}): Finding {
  const certificate = new X509Certificate(of.cert);
  const days = Math.floor((certificate.validToDate.getTime() - Date.now()) / day);
  const issuer = certificate.issuer.replaceAll("\n", ", ");
  const fact = `issued by ${issuer}, ends ${certificate.validToDate.toISOString().slice(0, 10)} (${days} days)`;
  const itself = of.renewedBy === "the server";
  if (certificate.validFromDate.getTime() > Date.now()) {
    return fail(
      "certificate",
      `${fact}, but begins ${certificate.validFromDate.toISOString()}`,
      "look at the clock",
    );
  }
  if (days < 0) {
    const advice = itself
      ? "start the server: it renews its own"
      : "renew it; a running server takes the new files by itself";
    return fail("certificate", fact, advice);
  }
  const { name } = of;
  if (name !== undefined && !covers(certificate, name)) {
    return itself
      ? warn(
          "certificate",
          `${fact}; not for ${name}`,
          "the next start with this --name makes one that is, by a new authority: terminal clients need its fingerprint (snug --server)",
        )
      : fail("certificate", `${fact}; not for ${name}`, `get a certificate that names ${name}`);
  }
  if (!itself && days < 14) return warn("certificate", fact, "see that your renewal works");
  return ok("certificate", name === undefined ? fact : `${fact}, for ${name}`);
}

function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined;
}
