/** The part of Trusted Types (W3C) that is used here; lib.dom doesn't have it yet. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

/** A script URL of our own bundle, in the form that the page's policy `trusted-types snug` asks for. */
export function ownScript(url: string): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  if (!trustedTypes) return checked(url);
  policy ??= trustedTypes.createPolicy("snug", { createScriptURL: checked });
  return policy.createScriptURL(url);
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

function checked(url: string): string {
  const full = new URL(url, location.href);
  if (full.origin !== location.origin || !full.pathname.startsWith("/assets/")) {
    throw new TypeError(`not a script of this page: ${full.href}`);
  }
  return full.href;
}
