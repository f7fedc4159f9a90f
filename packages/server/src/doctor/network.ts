import { X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { connect } from "node:tls";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** ms */
const patience = 5000;

/** Whether the port can be had, or who has it. `runsHere`: a server runs on the data folder. */
export async function checkPort(of: {
  readonly host: string;
  readonly port: number;
  readonly runsHere: boolean;
}): Promise<Finding> {
  const { host, port, runsHere } = of;
  const code = await tryPort(host, port);
  if (code === undefined) {
    return runsHere
      ? warn(
          "port",
          `port ${port} is free, but a server runs on the data folder`,
          "give the --port that it was started with",
        )
      : ok("port", `port ${port} is free`);
  }
  if (code === "EADDRINUSE") {
    const owner = await ownerOf(port);
    const by = owner === undefined ? "another program" : `${owner.name} (process ${owner.pid})`;
    if (runsHere) return ok("port", `port ${port} is taken by ${by}, and a server runs on the data folder`);
    return fail(
      "port",
      `port ${port} is taken by ${by}`,
      "end that program, or choose another port with --port",
    );
  }
  if (code === "EACCES") {
    return fail(
      "port",
      `port ${port} may not be used by this user`,
      "choose a port from 1024 on, or see the guide's unit",
    );
  }
  return fail(
    "port",
    `${host} port ${port} can't be opened (${code})`,
    "name an address of this computer with --host",
  );
}

async function tryPort(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
    return undefined;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code ?? "unknown";
  } finally {
    server.close();
  }
}

/** Linux: who listens on a TCP port, as far as this user may see. */
async function ownerOf(port: number): Promise<{ readonly pid: number; readonly name: string } | undefined> {
  const tables = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "utf8").catch(() => "")),
  );
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  // Local address, remote address, state 0A = listening, …, inode (proc(5)).
  const pattern = new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} \\S+ 0A(?: +\\S+){5} +(\\d+)`, "gm");
  const sockets = new Set(
    tables.flatMap((table) => [...table.matchAll(pattern)].map(([, inode]) => `socket:[${inode}]`)),
  );
  if (sockets.size === 0) return undefined;
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // Processes of others, and those that have just ended, show nothing.
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (!sockets.has(target)) continue;
      const name = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "a program")).trim();
      return { pid: Number(pid), name };
    }
  }
  return undefined;
}

/** Whether the name leads here: by DNS, and by a connection to it. The only check that asks anything outside. */
export async function checkName(of: {
  readonly name: string | undefined;
  readonly port: number;
  readonly running: boolean;
  /** The certificate that the server shows (PEM), where it is known. */
  readonly cert: string | undefined;
}): Promise<Finding> {
  const { name, port, running, cert } = of;
  if (name === undefined) return ok("name", "no --name: links name this computer's addresses");
  const found = await lookup(name, { all: true }).catch(() => []);
  if (found.length === 0) {
    return fail("name", `${name} has no address`, "make an A or AAAA record for it, or look at its spelling");
  }
  const addresses = found.map(({ address }) => address);
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
  const here = addresses.some((address) => own.includes(address));
  const leads = `${name} is ${addresses.join(", ")}, ${here ? "this computer" : "which is not this computer itself"}`;
  if (!running) {
    const advice = `start the server, then ask again: snug doctor --name ${name}`;
    return warn("name", `${leads}; no server runs that could be reached`, advice);
  }
  const shown = await certificateAt(name, port);
  if (shown === undefined) {
    const advice = here
      ? `let port ${port} through the firewall`
      : `let the router pass port ${port} on to this computer; try from another network too: some routers can't be reached from inside`;
    return here
      ? fail("name", `${leads}; nothing answers on port ${port}`, advice)
      : warn("name", `${leads}; from here nothing answers on port ${port}`, advice);
  }
  if (cert !== undefined && shown !== new X509Certificate(cert).fingerprint256) {
    const advice = "right if a proxy answers there (--trust-proxy); else the name leads to another server";
    return warn("name", `${leads}; port ${port} shows another certificate`, advice);
  }
  return ok("name", `${leads}; this server answers on port ${port}`);
}

/** SHA-256 of the certificate that is shown there; undefined when nothing answers. */
async function certificateAt(name: string, port: number): Promise<string | undefined> {
  // Only compared, never believed.
  const socket = connect({
    host: name,
    port,
    rejectUnauthorized: false,
    ...(isIP(name) ? {} : { servername: name }),
  });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(patience) });
    return socket.getPeerX509Certificate()?.fingerprint256;
  } catch (cause) {
    // Refused, silent, or no TLS: nobody of ours.
    if (cause instanceof Error) return undefined;
    throw cause;
  } finally {
    socket.destroy();
  }
}
