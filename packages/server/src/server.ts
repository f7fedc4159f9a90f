import { isIP } from "node:net";
import { type Ed25519Public, type Hash, Incarnation, limits, randomId, type ServerId } from "@snug/protocol";
import { announce } from "./announcing.ts";
import { Blocks } from "./blocks.ts";
import { openControl } from "./control.ts";
import { DirectoryLog } from "./directoryLog.ts";
import { type DiskNews, tellingOfDisk } from "./diskNews.ts";
import { type DataFolder, isFolder, openFolder } from "./folder.ts";
import { Health } from "./health.ts";
import { accountRoutes } from "./http/accountRoutes.ts";
import { createApp } from "./http/app.ts";
import { libraryRoutes } from "./http/libraryRoutes.ts";
import { bundleRoutes, readBundle } from "./http/webBundle.ts";
import { type Library, openLibrary } from "./library/index.ts";
import { Logger, type LogLevel } from "./logger.ts";
import { makeLogKey, readLogKeys, settleLogKeys } from "./logKey.ts";
import { rotateCommand, rotateLogKey } from "./logKeyRotation.ts";
import { listenForMetrics, type MetricsAddress } from "./metrics/listener.ts";
import { Metrics } from "./metrics/metrics.ts";
import { watchProcess } from "./metrics/process.ts";
import { Passes } from "./passes.ts";
import { createListeners, type Listeners, Port, replaceCertificate } from "./port.ts";
import { Rates } from "./rates.ts";
import { tidyAtRest } from "./rest.ts";
import { Restoring } from "./restoring.ts";
import type { Room } from "./room.ts";
import { type LinkFacts, leaveFacts, makeSetupLink, removeFacts } from "./setupLink.ts";
import { Site } from "./site.ts";
import { Connections, pingEvery } from "./socket/connections.ts";
import { Upgrades } from "./socket/upgrades.ts";
import { StartError } from "./startError.ts";
import { isFault } from "./store/faults.ts";
import { makeDatabase, upgradeDatabase } from "./store/schema.ts";
import { openWorker, SqliteStore } from "./store/sqliteStore.ts";
import type { AcmeOptions } from "./tls/acme/source.ts";
import { openOwnIdentity, ownCertificates } from "./tls/authority.ts";
import { type CertificateNews, type CertificateSource, Certificates } from "./tls/certificates.ts";
import { givenCertificates } from "./tls/givenFiles.ts";
import { Turnstile } from "./turnstile.ts";

/** How the server is to run. */
export interface ServerOptions {
  /** The data folder; made when it does not exist. */
  readonly data: string;
  /** The folder of the videos. */
  readonly videos: string;
  /** The address to listen on. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** The name that others reach the server by; none: this computer only. */
  readonly name?: string;
  /** PEM files of a certificate and its key, in place of our own authority. */
  readonly cert?: string;
  readonly key?: string;
  /** An ACME authority for the name's certificate, in place of our own or given files. */
  readonly acme?: AcmeOptions;
  /** Addresses (or networks, `10.0.0.0/8`) of proxies whose X-Forwarded headers are believed. */
  readonly trustProxy?: readonly string[];
  /** What is written to stderr, one JSON object a line. */
  readonly log: LogLevel;
  /** Where metrics and health are shown to the operator, in plain HTTP; none: nowhere. */
  readonly metrics?: MetricsAddress;
  /** The most accounts that it takes; without a word `limits.accounts`. */
  readonly accounts?: number;
  /** The folder of the built web client. */
  readonly web?: string;
}

/** A server that takes connections. */
export interface RunningServer extends AsyncDisposable {
  /** The https origin, by name. */
  readonly url: string;
  /** The plain origin that browsers on the same computer trust. */
  readonly localUrl: string;
  readonly port: number;
  readonly serverId: ServerId;
  /** SHA-256 of the TLS authority's certificate, hex with colons. */
  readonly fingerprint: string;
  /** Base64 SHA-256 of the leaf's SubjectPublicKeyInfo. */
  readonly spki: string;
  /** Where the metrics are shown, if they are. */
  readonly metricsUrl: string | null;
  /** Looks for a newer certificate now, as the server does by itself once a minute. Never rejects. */
  renewCertificate(): Promise<void>;
  /** A new setup link, voiding the former; null once an administrator exists, or while one may still come back. */
  setupLink(): Promise<string | null>;
  /** Ends everything in order, in under a second. */
  close(): Promise<void>;
}

/** How often expired things are forgotten. ms */
const sweepEvery = 3_600_000;

/** Starts a server. Throws StartError, with the data folder as it was found. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  try {
    return await start(options);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw new StartError(`the server can't start: ${(cause as Error).message}`, { cause });
  }
}

async function start(options: ServerOptions): Promise<RunningServer> {
  await using started = new AsyncDisposableStack();
  const site = new Site(options);
  if (!(await isFolder(options.videos)))
    throw new StartError(`there is no videos folder at ${options.videos}`);
  const given = await givenSource(options);
  if (options.web !== undefined && !(await isFolder(options.web))) {
    throw new StartError(`there is no built web client at ${options.web}`);
  }
  const bundle = options.web === undefined ? undefined : await readBundle(options.web);
  const port = started.use(await Port.bind(options.host, options.port, (peer) => site.isCounted(peer)));
  const folder = started.use(await openData(options.data, site));
  upgradeDatabase(folder.paths.database);
  const source = given ?? (await sourceIn(folder.paths.tls, site, options.acme));
  const logger = new Logger(options.log);
  const metrics = new Metrics();
  let listeners: Listeners | undefined;
  const certificates = started.use(
    new Certificates(source, (news) => {
      if ("taken" in news && listeners) replaceCertificate(listeners, news.taken);
      noteCertificate(news, { logger, metrics });
    }),
  );
  const store = started.use(openStore(folder, metrics, logger));
  const report = (cause: unknown): void => (isFault(cause) ? logger.fault(cause) : undefined);
  const health = new Health(store, { now: () => performance.now(), report });
  const log = await DirectoryLog.open(store, await readLogKeys(folder.paths.keys));
  await settleLogKeys(folder.paths.keys, log.logPublic);
  const addresses = site.addresses(port.number);
  const { app, handler } = createApp({ site, certificates, addresses, logger, metrics, health });
  started.defer(() => app.close());
  const library = started.use(
    await openLibrary({
      folder: options.videos,
      data: folder.paths.indexes,
      log: (said) => logger.write("library", { said }),
    }),
  );
  const authority =
    site.proxied || source.kind === "acme" ? null : (certificates.current.authority?.hash ?? null);
  const restoring = await Restoring.open(store, log, () => Date.now());
  const blocks = await Blocks.open(store);
  const room = makeRoom({
    ...{ store, log, restoring, blocks, library, site, addresses, authority, metrics },
    mostAccounts: options.accounts ?? limits.accounts,
    onBehind: once(() => logger.write("behind", {})),
    report,
  });
  accountRoutes(app, room);
  libraryRoutes(app, room, library);
  if (bundle) bundleRoutes(app, bundle);
  await app.ready();
  await store.replaceSetupLink(null);
  await store.sweep(Date.now());

  listeners = createListeners(handler(), certificates.current);
  const upgrades = new Upgrades(site, room, logger);
  upgrades.listen(listeners.plain);
  upgrades.listen(listeners.tls);
  started.defer(() => upgrades.close());
  started.use(keepTime(room, report));
  started.use(tidyAtRest());
  started.defer(() => room.connections.closeAll());
  const facts: LinkFacts = {
    addresses: site.linkAddresses(port.number),
    authority,
  };
  watchServer(metrics, { room, library, certificates, port });
  const shown = { text: () => metrics.text(), isWell: () => health.isWell() };
  const metricsListener = options.metrics && started.use(await listenForMetrics(options.metrics, shown));
  if (metricsListener) started.use(watchProcess(metrics, folder.paths));
  const rotate = (): Promise<Ed25519Public> => rotateLogKey({ log, restoring, keys: folder.paths.keys });
  const commands = { [rotateCommand]: async () => ({ logKey: await rotate() }) };
  started.use(await openControl(folder.paths.root, commands, logger.fault));
  await leaveFacts(folder.paths.root, facts);
  started.defer(() => removeFacts(folder.paths.root));
  port.open(listeners);
  // Nobody waits for an ACME authority to start a server, nor a minute to get a certificate.
  if (source.kind === "acme") void certificates.renew();
  const began = Date.now();
  logger.write("started", {
    port: port.number,
    certificate: source.kind,
    titles: library.size,
  });
  started.defer(() => logger.write("stopping", { seconds: Math.round((Date.now() - began) / 1000) }));

  const running = started.move();
  const close = once(() => running.disposeAsync());
  return {
    url: addresses[0] ?? site.localOrigin(port.number),
    localUrl: site.localOrigin(port.number),
    port: port.number,
    serverId: log.directory.server,
    get fingerprint() {
      return certificates.current.fingerprint;
    },
    get spki() {
      return certificates.current.spki;
    },
    metricsUrl: metricsListener?.url ?? null,
    renewCertificate: () => certificates.renew(),
    setupLink: async () =>
      log.hasAdmin() || restoring.active ? null : makeSetupLink(store, log, { ...facts, now: Date.now() }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function givenSource({ cert, key }: ServerOptions): Promise<CertificateSource | undefined> {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new StartError("a certificate and its key go together");
  return givenCertificates({ cert, key });
}

function openStore(folder: DataFolder, metrics: Metrics, logger: Logger): SqliteStore {
  const news: DiskNews = {
    refuses: (reason) => logger.write("disk-refuses", { reason }),
    takes: (refused, ms) => logger.write("disk-takes", { refused, seconds: Math.round(ms / 1000) }),
  };
  const open = tellingOfDisk(openWorker, news, () => performance.now());
  return new SqliteStore(folder.paths.database, metrics.measured(open));
}

/** A source that keeps its files in the data folder. */
async function sourceIn(
  folder: string,
  site: Site,
  acme: AcmeOptions | undefined,
): Promise<CertificateSource> {
  const own = await ownCertificates(folder, () => site.certificateNames());
  if (!acme) return own;
  if (site.proxied || isIP(site.name) !== 0 || !site.name.includes(".")) {
    throw new StartError(
      "an ACME authority vouches for a --name that DNS knows, and not behind --trust-proxy",
    );
  }
  // An HTTPS client and a maker of requests: only who asks for them.
  const { acmeCertificates } = await import("./tls/acme/source.ts");
  return acmeCertificates({ ...acme, folder, name: site.name, own: own.first });
}

function noteCertificate(
  news: CertificateNews,
  { logger, metrics }: { logger: Logger; metrics: Metrics },
): void {
  if ("kept" in news) {
    metrics.renewalFailures.count();
    logger.write("certificate-kept", { reason: news.kept });
    return;
  }
  metrics.renewals.count();
  logger.write("certificate", { ends: new Date(news.taken.ends).toISOString() });
}

/** What is not counted but read when it is asked for. */
function watchServer(
  metrics: Metrics,
  of: {
    readonly room: Room;
    readonly library: Library;
    readonly certificates: Certificates;
    readonly port: Port;
  },
): void {
  const { room, library, certificates, port } = of;
  metrics.gauge("snug_connections", "Devices that are signed in.", () => room.connections.size);
  metrics.gauge("snug_accounts", "Accounts that have not left.", () => countMembers(room.log));
  metrics.gauge("snug_statements", "Statements in the directory.", () => room.log.size);
  metrics.gauge("snug_titles", "Titles of the library.", () => library.size);
  metrics.gauge(
    "snug_certificate_end_timestamp_seconds",
    "When the certificate that is shown ends, since 1970.",
    () => certificates.current.ends / 1000,
  );
  metrics.counted(
    "snug_received_bytes_total",
    "Bytes that came in at the port.",
    () => port.traffic().received,
  );
  metrics.counted("snug_sent_bytes_total", "Bytes that left the port.", () => port.traffic().sent);
}

function countMembers({ directory }: DirectoryLog): number {
  return directory.accounts
    .values()
    .filter(({ removed }) => !removed)
    .toArray().length;
}

function openData(data: string, site: Site): Promise<DataFolder> {
  return openFolder(data, async (paths) => {
    await makeLogKey(paths.keys);
    await openOwnIdentity(paths.tls, site.certificateNames());
    makeDatabase(paths.database, randomId(Incarnation));
  });
}

function makeRoom(of: {
  readonly store: SqliteStore;
  readonly log: DirectoryLog;
  readonly restoring: Restoring;
  readonly blocks: Blocks;
  readonly library: Library;
  readonly site: Site;
  readonly addresses: string[];
  readonly authority: Hash | null;
  readonly metrics: Metrics;
  readonly mostAccounts: number;
  readonly onBehind: () => void;
  readonly report: (cause: unknown) => void;
}): Room {
  const { store, log, restoring, blocks, library, site, addresses, authority, metrics } = of;
  const now = (): number => Date.now();
  const connections = new Connections({
    positionOf: (account) => log.positionOf(account),
    now: () => performance.now(),
  });
  log.onLeaf = (leaf) => {
    announce({ connections, store }, leaf).catch(of.report);
  };
  restoring.onOpened = () => connections.broadcast("restored", {});
  library.onChange((revision) => connections.broadcast("library", { revision }));
  const facts = { serverName: site.name, addresses, authority };
  return {
    ...{ store, log, restoring, blocks, connections, facts, metrics, now },
    passes: new Passes(store, log, now),
    rates: new Rates(now),
    turnstile: new Turnstile(),
    mostAccounts: of.mostAccounts,
    onBehind: of.onBehind,
    titles: library,
  };
}

/** Pings links and forgets what has expired, until disposed. */
function keepTime(room: Room, report: (cause: unknown) => void): Disposable {
  const timers = [
    setInterval(() => room.connections.ping(), pingEvery),
    setInterval(() => room.restoring.look().catch(report), limits.ping),
    setInterval(() => room.store.sweep(room.now()).catch(report), sweepEvery),
  ];
  return { [Symbol.dispose]: () => timers.forEach(clearInterval) };
}

function once<T>(act: () => T): () => T {
  let done: { readonly value: T } | undefined;
  return () => {
    done ??= { value: act() };
    return done.value;
  };
}
