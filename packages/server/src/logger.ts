import { pino, stdSerializers } from "pino";

/** What is written: nothing, what an operator has to look at, or also what happens. */
export type LogLevel = "silent" | "warn" | "info";

/**
 * Every kind of line and its fields (docs/spec/operating.md, O10). No account, device, name, title, stream or secret is
 * among them; an address only where a visitor was turned away.
 */
export interface LogEvents {
  started: { readonly port: number; readonly certificate: string; readonly titles: number };
  stopping: { readonly seconds: number };
  request: {
    readonly method: string;
    /** The route's pattern; `-` where none fits. */
    readonly route: string;
    readonly status: number;
    readonly ms: number;
    readonly address?: string;
  };
  opened: { readonly connection: number };
  closed: {
    readonly connection: number;
    readonly code: number;
    readonly seconds: number;
    readonly address?: string;
  };
  refused: { readonly status: number; readonly address: string };
  certificate: { readonly ends: string };
  "certificate-kept": { readonly reason: string };
  library: { readonly said: string };
  "disk-refuses": { readonly reason: string };
  "disk-takes": { readonly refused: number; readonly seconds: number };
  behind: Record<never, never>;
  http: { readonly err?: unknown };
  fault: { readonly err: unknown };
}

const events: Readonly<Record<keyof LogEvents, readonly ["info" | "warn" | "error", string]>> = {
  started: ["info", "the server takes connections"],
  stopping: ["info", "the server ends in order"],
  request: ["info", "a request was answered"],
  opened: ["info", "a WebSocket was opened"],
  closed: ["info", "a WebSocket was closed"],
  refused: ["info", "a WebSocket was refused"],
  certificate: ["info", "another certificate is shown from now on"],
  "certificate-kept": ["warn", "a newer certificate can't be used: the one before stays"],
  library: ["info", "the library says"],
  "disk-refuses": ["error", "the disk takes nothing: changes are refused from now on; make room"],
  "disk-takes": ["warn", "the disk takes changes again; what was refused is offered again by its senders"],
  behind: [
    "warn",
    "a device has letters that this server lacks; if an older database was put back by hand: end the server, then snug restore --adopt --data FOLDER",
  ],
  http: ["warn", "the HTTP framework says"],
  fault: ["error", "a fault of the server"],
};

/** So much waits for whoever reads the log; what comes above it is left out. bytes */
const mostWaiting = 1_048_576;

/** Writes one JSON object a line for the operator. */
export class Logger {
  readonly #pino: ReturnType<typeof pino>;

  constructor(level: LogLevel) {
    // process.stderr waits for a terminal and a file, keeps all that a pipe does not take, and writes each line by itself.
    const to = pino.destination({ dest: 2, sync: false, maxLength: mostWaiting });
    this.#pino = pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { err: stdSerializers.errWithCause },
      },
      to,
    );
  }

  write<E extends keyof LogEvents>(event: E, fields: LogEvents[E]): void {
    const [level, message] = events[event];
    this.#pino[level]({ event, ...(fields as object) }, message);
  }

  /** For the HTTP framework's own remarks: what it warns of is a mistake of ours. */
  framework(): ReturnType<typeof pino> {
    const level = this.#pino.level === "silent" ? "silent" : "warn";
    return this.#pino.child({ event: "http" satisfies keyof LogEvents }, { level });
  }

  /** Something that is ours to mend. */
  readonly fault = (err: unknown): void => this.write("fault", { err });
}
