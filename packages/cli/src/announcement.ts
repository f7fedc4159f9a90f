import { renderUnicodeCompact } from "uqr";

/** What a starting server tells the person in front of it. */
export interface Announced {
  readonly version: string;
  readonly data: string;
  readonly videos: string;
  readonly url: string;
  readonly localUrl: string;
  readonly metricsUrl: string | null;
  /** Of the TLS authority, hex with colons. */
  readonly fingerprint: string;
  /** null once an administrator exists. */
  readonly setupLink: string | null;
  /** Width of the terminal in characters. */
  readonly columns: number;
}

/** The lines of `snug serve` (docs/guides/command-line.md). What a person needs next stands last: the code is tall. */
export function announcement(of: Announced): string {
  const setup =
    of.setupLink === null
      ? []
      : [
          qrCode(of.setupLink, of.columns),
          "",
          "Open this link to set Snug up. It works once, within 30 minutes:",
          "",
          of.setupLink,
          "",
        ];
  return [
    `Snug ${of.version}`,
    "",
    `  data       ${of.data}`,
    `  videos     ${of.videos}`,
    `  address    ${of.url}`,
    `             ${of.localUrl} (on this computer)`,
    `  authority  ${of.fingerprint}`,
    ...(of.metricsUrl === null ? [] : [`  metrics    ${of.metricsUrl}`]),
    "",
    ...setup,
    "Ctrl-C stops the server.",
  ].join("\n");
}

/** Light modules are drawn, for dark terminals; wrapped lines would be unreadable, so a narrow terminal gets words. */
function qrCode(text: string, columns: number): string {
  const code = renderUnicodeCompact(text, { ecc: "L", border: 2 });
  const width = code.indexOf("\n");
  return width <= columns ? code : `(The QR code needs a terminal that is ${width} characters wide.)`;
}
