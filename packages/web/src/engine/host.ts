import { type Client, NetworkError } from "@snug/client";
import { SnugError } from "@snug/protocol";
import type { Call, Failure, Method, Report } from "./messages.ts";

/** The worker's side of the door, as much of it as is used here. */
export interface Scope {
  postMessage(report: Report): void;
  addEventListener(type: "message", listener: (event: { readonly data: Call }) => void): void;
}

type Handler = (...args: readonly unknown[]) => Promise<unknown>;

/** Opens the client inside the worker and answers the tab's calls for as long as the worker lives. */
export async function hostClient(scope: Scope, open: () => Promise<Client>): Promise<void> {
  let client: Client;
  try {
    client = await open();
  } catch (error) {
    scope.postMessage({ is: "failed", failure: toFailure(error) });
    return;
  }
  client.subscribe(() => scope.postMessage({ is: "state", state: client.state }));
  client.onLetter((letter) => scope.postMessage({ is: "letter", letter }));
  scope.addEventListener("message", ({ data }) => {
    void answer(client, data).then((report) => scope.postMessage(report));
  });
  scope.postMessage({ is: "opened", state: client.state });
}

async function answer(client: Client, { call, method, args }: Call): Promise<Report> {
  try {
    // The tab's side is typed by the same interface; structured clone loses the connection of name and arguments.
    const handler = (client as unknown as Record<Method, Handler>)[method];
    return { is: "answer", call, value: await handler.apply(client, [...args]) };
  } catch (error) {
    return { is: "refusal", call, failure: toFailure(error) };
  }
}

function toFailure(error: unknown): Failure {
  if (error instanceof SnugError) return { is: "snug", code: error.code, message: error.message };
  if (error instanceof NetworkError) return { is: "network", message: error.message };
  return { is: "other", message: error instanceof Error ? error.message : String(error) };
}
