import type { Duplex } from "node:stream";
import type { HttpRequest } from "@snug/client";
import { generateLogKey, importLogKey } from "@snug/crypto/identity";
import { limits, operations, SnugError } from "@snug/protocol";
import type { WebSocket } from "ws";
import { announce } from "../../packages/server/src/announcing.ts";
import { Blocks } from "../../packages/server/src/blocks.ts";
import { DirectoryLog } from "../../packages/server/src/directoryLog.ts";
import { accountRoutes, holderOf } from "../../packages/server/src/http/accountRoutes.ts";
import { sendError, toSnugError } from "../../packages/server/src/http/errors.ts";
import { Metrics } from "../../packages/server/src/metrics/metrics.ts";
import { Passes } from "../../packages/server/src/passes.ts";
import { Rates } from "../../packages/server/src/rates.ts";
import { Restoring } from "../../packages/server/src/restoring.ts";
import type { Room } from "../../packages/server/src/room.ts";
import { makeSetupLink } from "../../packages/server/src/setupLink.ts";
import { Connection } from "../../packages/server/src/socket/connection.ts";
import { Connections, pingEvery } from "../../packages/server/src/socket/connections.ts";
import { SqliteStore } from "../../packages/server/src/store/sqliteStore.ts";
import { Turnstile } from "../../packages/server/src/turnstile.ts";
import type { Chance } from "./chance.ts";
import type { Course } from "./course.ts";
import type { Line, ServerSocket } from "./network.ts";
import type { ServerDisk } from "./serverDisk.ts";

const origin = "https://simulated.snug:1";

/** The reads of a signed-in device's operations. */
const reads: ReadonlySet<string | symbol> = new Set([
  ...[
    "rows",
    "head",
    "directory",
    "counters",
    "cursor",
    "delivered",
    "pass",
    "invite",
    "invites",
    "statementsOf",
  ],
]);

/** One process of the server, from its start to its end. */
interface Running {
  readonly room: Room;
  readonly store: SqliteStore;
  readonly routes: Routes;
  readonly timers: readonly NodeJS.Timeout[];
  /** Resolves when it is gone. */
  readonly down: Promise<null>;
  readonly end: () => void;
}

type FastifyInstance = Parameters<typeof accountRoutes>[0];
type FastifyRequest = Parameters<typeof holderOf>[1];
type FastifyReply = Parameters<typeof sendError>[0];
type Answer = { readonly status: number; readonly body: unknown };
type Route = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
type Routes = ReadonlyMap<string, Route>;

/** The server's computer: the real rooms of the server on a simulated disk, network and clock, started and ended by the course. */
export class House {
  readonly #course: Course;
  readonly #disk: ServerDisk;
  readonly #chance: Chance;
  readonly #reads: number;
  readonly #lines = new Set<Line>();
  #running: Running | null = null;
  #stopping: Promise<void> | null = null;
  #starting: { over: boolean } | null = null;
  /** ms that the clock on the wall differs from the course's. */
  clock: number;
  /** Runs on a database that somebody put back by hand, until it is adopted. */
  byHand = false;

  constructor(of: {
    course: Course;
    chance: Chance;
    reads: number;
    disk: ServerDisk;
    clock: number;
  }) {
    this.#course = of.course;
    this.#chance = of.chance;
    this.#reads = of.reads;
    this.#disk = of.disk;
    this.clock = of.clock;
  }

  get room(): Room | null {
    return this.#running?.room ?? null;
  }

  now(): number {
    return Math.floor(this.#course.now + this.clock);
  }

  /** Nothing when it is up, or coming up. */
  async start(): Promise<void> {
    if (this.#running || this.#starting) return;
    if (this.#stopping) {
      await this.#stopping;
      return this.start();
    }
    const life = { over: false };
    this.#starting = life;
    try {
      await this.#begin(life);
    } catch (error) {
      // A disk that is full: another start may find room.
      if (!life.over) this.#disk.crash();
      if (this.#starting === life) this.#starting = null;
      throw error;
    }
  }

  async #begin(life: { over: boolean }): Promise<void> {
    const store = this.#readInTime(new SqliteStore(this.#disk.path, this.#disk.openWriter));
    const log = await DirectoryLog.open(store, this.#disk.keys);
    this.#settleKeys(log.logPublic.x);
    const now = (): number => this.now();
    const restoring = await Restoring.open(store, log, now);
    const connections = new Connections({
      positionOf: (account) => log.positionOf(account),
      now: () => this.#course.now,
    });
    // A crash in between leaves nobody to tell.
    log.onLeaf = (leaf) => announce({ connections, store }, leaf).catch(() => undefined);
    const room: Room = {
      store,
      log,
      restoring,
      passes: new Passes(store, log, now),
      connections,
      titles: { detail: () => Promise.reject(new SnugError("not-found", "there is no such title")) },
      mostAccounts: limits.accounts,
      onBehind: () => undefined,
      rates: new Rates(now),
      turnstile: new Turnstile(),
      blocks: await Blocks.open(store),
      metrics: new Metrics(),
      facts: { serverName: "Home", addresses: [origin], authority: null },
      now,
    };
    await store.replaceSetupLink(null).catch(this.#report);
    await store.sweep(now()).catch(this.#report);
    if (life.over) return;
    this.#starting = null;
    const timers = [
      setInterval(() => connections.ping(), pingEvery),
      setInterval(() => void store.sweep(now()).catch(this.#report), 3_600_000),
    ];
    let end = (): void => undefined;
    const down = new Promise<null>((resolve) => {
      end = () => resolve(null);
    });
    this.#running = { room, store, routes: routesOf(room), timers, down, end };
    this.#course.trace("server", "is up");
  }

  /** Reading takes time, before it sees what is stored and after: another store than SQLite would take it. */
  #readInTime(store: SqliteStore): SqliteStore {
    return new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        const method = value.bind(target) as (...of: unknown[]) => Promise<unknown>;
        if (!reads.has(name)) return method;
        return async (...of: unknown[]): Promise<unknown> => {
          await this.#course.pause(this.#delay());
          const read = await method(...of);
          await this.#course.pause(this.#delay());
          return read;
        };
      },
    });
  }

  #delay(): number {
    return this.#chance.is(0.3) ? 0 : this.#chance.next() * this.#reads;
  }

  /** The power fails: what was not committed is lost, and nobody is told. */
  crash(): void {
    this.#course.trace("server", "crashes");
    this.#end();
    this.#stopping = null;
    this.#disk.crash();
    for (const line of [...this.#lines]) line.cut();
  }

  /** The disk is gone, and a backup takes its place; by hand, it is not known yet that it is one. */
  putBack(byHand: boolean): void {
    this.crash();
    this.#course.trace("server", byHand ? "is put back by hand" : "is restored");
    this.#disk.putBack();
    this.byHand = byHand;
    if (!byHand) this.#disk.adopt(this.now());
  }

  /** What was put back by hand becomes a restored server. */
  adopt(): void {
    this.crash();
    this.#course.trace("server", "is adopted");
    this.#disk.adopt(this.now());
    this.byHand = false;
  }

  /** Whoever has not come back is waited for no longer: `snug restore --finish` beside the server. */
  async finish(): Promise<void> {
    const running = this.#running;
    if (!running?.room.restoring.active) return;
    this.#course.trace("server", "waits no longer");
    await running.store.endRestoring();
    await running.room.restoring.look();
  }

  /** In the order of P40; cut short anywhere, the next start finds which key is in office. */
  async rotateLogKey(): Promise<void> {
    const room = this.#running?.room;
    if (!room || this.#disk.keys.held.length > 1) return;
    room.restoring.mustTakeChanges();
    const ended = (): boolean => this.#running?.room !== room;
    await room.log.rotate({
      now: this.now(),
      stage: async () => {
        const made = await generateLogKey();
        const next = { logKey: await importLogKey(made.pkcs8), logPublic: made.public };
        if (ended()) throw new SnugError("unavailable", "the power is gone");
        this.#disk.keys = { ...this.#disk.keys, held: [...this.#disk.keys.held, next] };
        return next;
      },
      settle: async ({ x }) => {
        if (!ended()) this.#settleKeys(x);
      },
    });
    this.#course.trace("server", "has another log key");
  }

  #settleKeys(x: string): void {
    const { keys } = this.#disk;
    this.#disk.keys = { ...keys, held: keys.held.filter(({ logPublic }) => logPublic.x === x) };
  }

  /** In order, as on SIGTERM. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#course.trace("server", "stops");
    this.#end();
    running.room.connections.closeAll();
    const left = [...this.#lines];
    this.#course.after(1000, () => {
      for (const line of left) line.cut();
    });
    this.#stopping = running.store[Symbol.asyncDispose]();
    await this.#stopping;
    this.#stopping = null;
  }

  #end(): void {
    for (const timer of this.#running?.timers ?? []) clearInterval(timer);
    this.#running?.end();
    if (this.#starting) this.#starting.over = true;
    this.#starting = null;
    this.#running = null;
  }

  /** A new connection came through; false when nobody listens. */
  accept(line: Line): boolean {
    const { room } = this.#running ?? {};
    if (!room) return false;
    this.#lines.add(line);
    const socket: ServerSocket = line.socket;
    // Of the stream below only corking is used: frames of a tick leave together here too.
    const raw = { cork: () => undefined, uncork: () => undefined } as unknown as Duplex;
    new Connection(socket as unknown as WebSocket, raw, {
      room,
      report: this.#report,
      signedIn: () => undefined,
    });
    return true;
  }

  left(line: Line): void {
    this.#lines.delete(line);
  }

  async setupLink(): Promise<string> {
    const room = this.#running?.room;
    if (!room) throw new Error("the server is down");
    return makeSetupLink(room.store, room.log, { addresses: [origin], authority: null, now: this.now() });
  }

  /** What the server makes of an HTTP request; null when it is down, or goes down meanwhile. */
  async answer({ method, path, body, token }: HttpRequest): Promise<Answer | null> {
    const running = this.#running;
    const route = running?.routes.get(`${method} ${path}`);
    // Nobody joins a server that somebody has put back by hand: that would be another history for good.
    if (!running || !route || (this.byHand && path.endsWith("/join"))) return null;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const request = { body, headers, visit: { network: null } } as unknown as FastifyRequest;
    const answered = new Promise<Answer>((resolve) => {
      const reply = replyTo(resolve);
      route(request, reply).then(
        (value) => resolve({ status: 200, body: value }),
        (cause: Error) => sendError(reply, toSnugError(cause, this.#report)),
      );
    });
    return Promise.race([answered, running.down]);
  }

  /** The disk's refusals are the simulation's own doing; any other fault is one of the server's. */
  readonly #report = (cause: unknown): void => {
    if (cause instanceof SnugError && cause.code === "unavailable") return;
    if (this.#running === null) return;
    this.#course.fail(`the server failed: ${cause instanceof Error ? cause.stack : String(cause)}`);
  };
}

/** The server's own routes, without Fastify's way there. */
function routesOf(room: Room): Routes {
  const routes = new Map<string, Route>();
  const app = {
    post: (path: string, route: Route) => routes.set(`POST ${path}`, async (...of) => route(...of)),
  };
  accountRoutes(app as unknown as FastifyInstance, room);
  routes.set(`GET ${operations["library-read"].transport.path}`, async (request) => {
    if (!(await holderOf(room, request))) throw new SnugError("unauthenticated", "sign in first");
    return { revision: 0, titles: [] };
  });
  return routes;
}

function replyTo(resolve: (answer: Answer) => void): FastifyReply {
  let status = 200;
  const reply = {
    code: (code: number) => {
      status = code;
      return reply;
    },
    header: () => reply,
    send: (body: unknown) => {
      resolve({ status, body });
      return reply;
    },
  };
  return reply as unknown as FastifyReply;
}
