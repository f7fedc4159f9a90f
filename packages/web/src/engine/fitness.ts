/** Whether this browser can run Snug, and if not, in words what it lacks. */
export type Fitness =
  | { readonly is: "fit" }
  | { readonly is: "unsupported"; readonly lacks: string }
  | { readonly is: "no-storage" };

/** Tries what the client will need, before it starts: a failure halfway would be harder to explain. */
export async function checkFitness(): Promise<Fitness> {
  if (!globalThis.isSecureContext) return { is: "unsupported", lacks: "a secure connection (https)" };
  if (!navigator.locks || typeof BroadcastChannel === "undefined") {
    return { is: "unsupported", lacks: "Web Locks" };
  }
  if (!("toBase64" in Uint8Array.prototype)) return { is: "unsupported", lacks: "current text functions" };
  if (!(await hasEd25519())) return { is: "unsupported", lacks: "Ed25519 signatures" };
  return (await hasStorage()) ? { is: "fit" } : { is: "no-storage" };
}

async function hasEd25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return true;
  } catch {
    return false;
  }
}

function hasStorage(): Promise<boolean> {
  const name = "snug-check";
  return new Promise((resolve) => {
    try {
      const opening = indexedDB.open(name);
      opening.addEventListener("error", () => resolve(false));
      opening.addEventListener("success", () => {
        opening.result.close();
        indexedDB.deleteDatabase(name);
        resolve(true);
      });
    } catch {
      resolve(false);
    }
  });
}
