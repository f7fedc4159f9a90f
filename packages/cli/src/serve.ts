import { once } from "node:events";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type RunningServer,
  requestLogKeyRotation,
  requestSetupLink,
  type ServerOptions,
  startServer,
} from "@snug/server";
import { announcement } from "./announcement.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { createOutput, type Output } from "./output.ts";
import type { ServeOptions } from "./serveOptions.ts";
import { version } from "./version.ts";

/** Where `npm start` builds the web client. */
const webBundle = fileURLToPath(new URL("../../web/dist", import.meta.url));

/**
 * Runs the server until SIGINT or SIGTERM, then ends it in order. Throws StartError (one clear line) when it can't
 * start, CommandError 2 for flags that don't go together.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { json, ...given } = options;
  if ((given.cert === undefined) !== (given.key === undefined)) {
    throw new CommandError(exitCodes.usage, "--cert and --key belong together");
  }
  const folders = { data: resolve(given.data), videos: resolve(given.videos) };
  const stop = untilSignal();
  const { port, host, name, cert, key, trustProxy, metrics, accounts, log } = given;
  const server = await startServer({
    port,
    host,
    ...folders,
    ...(name === undefined ? {} : { name }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(trustProxy === undefined ? {} : { trustProxy }),
    ...acmeOf(given),
    ...(metrics === undefined ? {} : { metrics }),
    ...(accounts === undefined ? {} : { accounts }),
    ...(existsSync(webBundle) ? { web: webBundle } : {}),
    log: log ?? (json ? "info" : "warn"),
  });
  const renewal = onReload(() => server.renewCertificate());
  try {
    await announce(server, folders, createOutput({ json: json === true }));
    await stop;
  } finally {
    renewal.end();
    await server.close();
  }
}

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

/** Throws CommandError 2 for flags that don't go together. */
function acmeOf(of: ServeOptions): Pick<ServerOptions, "acme"> {
  const { acmeEmail: email, acmeDnsHook: hook, acmeDirectory, acmeCa } = of;
  if (email === undefined && hook === undefined && acmeDirectory === undefined && acmeCa === undefined)
    return {};
  if (email === undefined || hook === undefined) {
    throw new CommandError(exitCodes.usage, "--acme-email and --acme-dns-hook belong together");
  }
  if (of.name === undefined || of.cert !== undefined) {
    throw new CommandError(exitCodes.usage, "an ACME authority needs --name, and no --cert");
  }
  const ca = acmeCa === undefined ? {} : { ca: resolve(acmeCa) };
  return { acme: { email, hook, directory: acmeDirectory ?? letsEncrypt, ...ca } };
}

async function announce(
  server: RunningServer,
  folders: { readonly data: string; readonly videos: string },
  output: Output,
): Promise<void> {
  const setupLink = await server.setupLink();
  const { url, localUrl, port, serverId, fingerprint, metricsUrl } = server;
  const columns = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  await output.data(
    {
      event: "listening",
      url,
      setupLink,
      fingerprint,
      localUrl,
      metricsUrl,
      port,
      serverId,
      version,
      ...folders,
    },
    announcement({ version, ...folders, url, localUrl, metricsUrl, fingerprint, setupLink, columns }),
  );
}

/** SIGHUP asks a service to look at its files again. In a terminal it means that the terminal is gone. */
const reloads = !process.stdin.isTTY;

function onReload(act: () => Promise<void>): { end(): void } {
  const reload = (): void => void act();
  if (reloads) process.on("SIGHUP", reload);
  return { end: () => void process.off("SIGHUP", reload) };
}

/** A second signal finds no listener and ends the process at once. */
async function untilSignal(): Promise<void> {
  const stopped = new AbortController();
  const { signal } = stopped;
  const endings = ["SIGINT", "SIGTERM", ...(reloads ? [] : ["SIGHUP"])];
  await Promise.race(endings.map((name) => once(process, name, { signal })));
  stopped.abort();
}

/** Asks the running server that owns the data folder for a new setup link; the former one is void. */
export async function printSetupLink(data: string, output: Output): Promise<void> {
  const setupLink = await requestSetupLink(resolve(data));
  await output.data({ setupLink }, setupLink);
}

/** Changes the log key of a data folder, through the server that runs on it or without one. */
export async function changeLogKey(data: string, output: Output): Promise<void> {
  const { x } = await requestLogKeyRotation(resolve(data));
  await output.data({ logKey: x }, x);
  output.say("snug: the log key was changed; older backups don't have the new one: make a backup now");
}
