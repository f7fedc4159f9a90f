import type { Client, ClientState, Letter } from "@snug/client";
import type { ErrorCode } from "@snug/protocol";

/** The methods of {@link Client} that answer later: exactly those travel as calls. */
export type Method = {
  [K in keyof Client]: Client[K] extends (...args: never[]) => Promise<unknown> ? K : never;
}[keyof Client];

/** A failure between the threads: the code survives, the stack stays where it belongs. */
export type Failure =
  | { readonly is: "snug"; readonly code: ErrorCode; readonly message: string }
  | { readonly is: "network"; readonly message: string }
  | { readonly is: "other"; readonly message: string };

/** Tab → worker. */
export interface Call {
  readonly call: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

/** Worker → tab. `opened` comes first, once; after `failed` nothing more comes. */
export type Report =
  | { readonly is: "opened"; readonly state: ClientState }
  | { readonly is: "failed"; readonly failure: Failure }
  | { readonly is: "state"; readonly state: ClientState }
  | { readonly is: "letter"; readonly letter: Letter }
  | { readonly is: "answer"; readonly call: number; readonly value: unknown }
  | { readonly is: "refusal"; readonly call: number; readonly failure: Failure };
