import type { Connection, Letter, Notice, Person } from "./api.ts";

const staysReadable = "What you have stays readable here.";
const askOperator = "Ask whoever runs the server, in another way than through it.";

/** What a person can do about a connection that was stopped, by its code; sentences for the screen. */
const advice: Readonly<Record<string, string>> = {
  "two-histories": `One of you is being lied to. Tell each other in another way than through this server, and don't trust keys that are new. It stays stopped, also after a restart. ${staysReadable}`,
  "rolled-back": `It may be a mistake, or somebody may hide what came after. ${askOperator} If they put an older copy of its data back, they can mend that; then open Snug anew. ${staysReadable}`,
  "incarnation-changed": `${askOperator} ${staysReadable}`,
  directory: `Don't write through this server until that is explained: keys in it may be the server's own. ${askOperator} Snug looks again when it is opened anew. ${staysReadable}`,
  chain: `Letters may have been taken out, put in or exchanged behind your back. ${askOperator} Snug looks again when it is opened anew. ${staysReadable}`,
  forbidden: `${askOperator} ${staysReadable}`,
  unauthenticated: staysReadable,
  replaced:
    "If that was not you, somebody has the keys of this device. Open Snug here anew to take the place back.",
  upgrade: "Update Snug, then open it anew.",
  store: "Look whether the disk is full, then open Snug anew.",
};

/** What to do about a stopped connection, in whole sentences. */
export function adviceOf({ code }: Extract<Connection, { is: "stopped" }>): string {
  return advice[code] ?? staysReadable;
}

/** The notices that tell more than the connection's own state, which is shown as long as it lasts. */
export function noticesBeside(connection: Connection, notices: readonly Notice[]): readonly Notice[] {
  if (connection.is !== "stopped") return notices;
  return notices.filter(({ text }) => !text.endsWith(connection.why));
}

/** What is to be known of a letter that was opened after its sender's end (L9), a sentence for the screen. */
const ends: Readonly<Record<NonNullable<Letter["senderEnd"]>, string>> = {
  left: "Written before its sender left this server, as far as can be told.",
  removed: "Written before its sender was removed from this server, as far as can be told.",
  device:
    "Written on a device that was ended since, and before that, as far as can be told. If the device was lost, somebody else may have written this.",
};

/** null for the letters of everybody who is still there. */
export function senderEndWords({ senderEnd }: Pick<Letter, "senderEnd">): string | null {
  return senderEnd && ends[senderEnd];
}

/** Whether nothing is sent to somebody until a person has looked at their keys. */
export function awaitsLook({ trust }: Pick<Person, "trust">): boolean {
  return trust.how === "key-changed" || trust.how === "unproven";
}
