import { hash as digest } from "node:crypto";

const style =
  "body{font:1.05rem/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1.5rem;color:#2b2a27;background:#faf7f0}" +
  "a{color:#3f4bb5}code{overflow-wrap:anywhere}" +
  "@media(prefers-color-scheme:dark){body{color:#d9dde8;background:#0f1420}a{color:#9aa5ff}}";

/** The page's own policy: this style, nothing else. */
export const preparePolicy: string = `default-src 'none'; style-src 'sha256-${digest("sha256", style, "base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/**
 * What plain HTTP from elsewhere shows: how to come in by https, and without any secret. The fingerprint is left out
 * on purpose: it is compared with the terminal's, never with a page that anybody on the way could have changed.
 */
export function preparePage(addresses: readonly string[], hasAuthority: boolean): string {
  const list = addresses
    .map((address) => `<li><a href="${escapeHtml(address)}/">${escapeHtml(address)}</a></li>`)
    .join("");
  const own = hasAuthority
    ? `<h2>A device of your own</h2><p>This server vouches for itself. On a device that is yours you can
       <a href="/authority.crt">fetch its authority</a> and install it after you have compared its fingerprint with the
       one that the server prints in its terminal. Never install the authority of somebody else's server.</p>`
    : "";
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Prepare this device · Snug</title><style>${style}</style></head><body><main><h1>Prepare this device</h1>
<p>Snug is here, but this connection is not encrypted. Come in by one of these addresses:</p><ul>${list}</ul>${own}
</main></body></html>\n`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
