import workerUrl from "../worker.ts?worker&url";
import { checkFitness } from "./fitness.ts";
import { demandOwnership, type Ownership, takeOwnership } from "./ownership.ts";
import { ownScript } from "./policy.ts";
import { openRemoteClient, type Port, type RemoteClient } from "./remote.ts";

/** What this tab is to Snug. */
export type Session =
  | { readonly is: "starting" }
  | { readonly is: "unsupported"; readonly lacks: string }
  | { readonly is: "no-storage" }
  /** Another tab owns keys and store. */
  | { readonly is: "elsewhere" }
  | { readonly is: "failed"; readonly why: string }
  | { readonly is: "open"; readonly client: RemoteClient };

let session: Session = { is: "starting" };
const listeners = new Set<() => void>();

export function currentSession(): Session {
  return session;
}

export function subscribeSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Checks the browser and opens the client, unless another tab has it. */
export async function startSession(): Promise<void> {
  const fitness = await checkFitness();
  if (fitness.is !== "fit") return become(fitness);
  const ownership = await takeOwnership();
  if (!ownership) return become({ is: "elsewhere" });
  await run(ownership);
}

/** Brings Snug from the other tab to this one. */
export async function bringHere(): Promise<void> {
  become({ is: "starting" });
  await run(await demandOwnership());
}

async function run(ownership: Ownership): Promise<void> {
  const worker = new Worker(ownScript(workerUrl), { type: "module", name: "snug" });
  void ownership.wanted.then(() => {
    become({ is: "elsewhere" });
    client?.terminate();
    worker.terminate();
    ownership.release();
  });
  let client: RemoteClient | undefined;
  try {
    client = await openRemoteClient(worker satisfies Port);
  } catch (error) {
    worker.terminate();
    ownership.release();
    become({ is: "failed", why: error instanceof Error ? error.message : String(error) });
    return;
  }
  become({ is: "open", client });
}

function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}
