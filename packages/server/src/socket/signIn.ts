import { verifySignIn } from "@snug/crypto/identity";
import {
  type DeviceId,
  type Ed25519Public,
  protocolVersion,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type StreamId,
  signInBytes,
} from "@snug/protocol";
import type { Principal, Room } from "../room.ts";

/** Nobody's key (RFC 8032 §7.1, test 1): an unknown account takes as long as a wrong signature. */
const nobody = {
  kty: "OKP",
  crv: "Ed25519",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
} as Ed25519Public;

/** Who signed in, and what to answer once the connection is live. */
export interface SignedIn {
  readonly principal: Principal;
  /** Composed at the last moment, so that nothing pushed before it is missing from it. */
  respond(): ResponseOf<"sign-in">;
}

/** Throws SnugError `upgrade`, or `unauthenticated`, the same for an unknown account, an ended device, a wrong signature. */
export async function signIn(room: Room, nonce: Uint8Array, body: RequestOf<"sign-in">): Promise<SignedIn> {
  const { log, store } = room;
  if (body.version !== protocolVersion) {
    throw new SnugError("upgrade", `version ${body.version} received, this server speaks ${protocolVersion}`);
  }
  await new Promise<void>((resolve) => room.turnstile.pass(resolve));
  const device = log.member(body.account)?.devices.get(body.device);
  const { server } = log.directory;
  const { incarnation } = store;
  const bytes = signInBytes({ server, incarnation, nonce, device: body.device });
  const signed = await verifySignIn({ key: device?.key ?? nobody, bytes, signature: body.signature });
  const inbox = log.inboxOf(body.account);
  if (!signed || !device || !inbox) throw refused();
  const stored = await readStored(room, body.device, inbox);
  // Looked at again after the last wait: a device that was revoked meanwhile does not come in.
  const account = log.member(body.account);
  if (!account || !log.isActive(body.account, body.device, room.now())) throw refused();
  return {
    principal: { account: body.account, device: body.device, rights: device.rights },
    respond: () => ({
      version: protocolVersion,
      server,
      incarnation,
      checkpoint: log.checkpoint,
      role: account.role,
      inbox,
      ...stored,
      ...room.facts,
      restored: room.restoring.restored,
    }),
  };
}

function refused(): SnugError {
  return new SnugError("unauthenticated", "unknown account or device, or its signature does not fit");
}

async function readStored(
  { store }: Room,
  device: DeviceId,
  inbox: StreamId,
): Promise<Pick<ResponseOf<"sign-in">, "counters" | "cursor">> {
  const [counters, cursor] = await Promise.all([store.counters(device), store.cursor(device, inbox)]);
  return { counters: [...counters], cursor };
}
