import { type EventOf, limits, type ResponseOf, type Row, SnugError } from "@snug/protocol";
import type { Inbox } from "./inbox.ts";
import type { Link } from "./link.ts";
import type { Notices } from "./notices.ts";
import type { Outbox } from "./outbox.ts";
import { firstPosition, numberKey, type Position, put, type Records } from "./records.ts";
import type { Change } from "./store.ts";
import type { Turns } from "./turns.ts";

export interface RestoringParts {
  readonly records: Records;
  readonly turns: Turns;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly notices: Notices;
}

/** Where the own inbox and the server's part, and what the server has of it. */
interface Common {
  readonly head: number;
  readonly at: Pick<Position, "seq" | "rowHash">;
}

/**
 * Brings back to a restored server what this device has of its own inbox, and goes on with the new incarnation: from
 * the last row that both have (C29, C30). Returns what the server has counted of this device. Cut off anywhere, it is
 * done again at the next connection.
 */
export async function bringBack(
  { records, turns, inbox, outbox, notices }: RestoringParts,
  link: Pick<Link, "request">,
  { hello, signed }: { readonly hello: EventOf<"hello">; readonly signed: ResponseOf<"sign-in"> },
): Promise<ResponseOf<"restore-done">["counters"]> {
  await inbox.idle();
  const kept = await inbox.kept();
  const { common, brought } = await bringRows(inbox.position, kept, link);
  return turns.run(async () => {
    const used = outbox.usedCounters();
    // Homes of the first version have not kept it.
    const wrapped = (await records.get("recovery", "wrapped"))?.bytes;
    const recovery = wrapped && { recovery: new Uint8Array(wrapped) };
    const { counters } = await link.request("restore-done", { counters: used, ...recovery });
    const { incarnation } = hello;
    const again = await outbox.offerAgain(used);
    const text = words({ brought, again: again.letters, restored: signed.restored });
    const notice = notices.make("loud", text);
    const position: Position = { ...inbox.position, ...common.at, incarnation };
    const adopted = inbox.adopt(position);
    await records.commit([
      ...adopted.changes,
      ...forgotten(kept, position.seq),
      ...again.changes,
      notice.change,
    ]);
    adopted.apply();
    again.apply();
    notice.show();
    return counters;
  });
}

/** What the server has no more, and other rows may take the place of. */
function forgotten(kept: readonly Row[], from: number): Change[] {
  return kept
    .filter(({ seq }) => seq > from)
    .flatMap(({ seq }) => [put("rows", numberKey(seq), null), put("headers", numberKey(seq), null)]);
}

async function bringRows(
  position: Position,
  kept: readonly Row[],
  link: Pick<Link, "request">,
): Promise<{ common: Common; brought: number }> {
  const common = await findCommon(position, kept, link);
  const missing = kept.filter(({ seq }) => seq > common.head);
  const continues = common.at.seq === common.head && missing[0]?.seq === common.head + 1;
  if (!continues) return { common, brought: 0 };
  try {
    for (const rows of pages(missing)) {
      await link.request("restore-rows", { stream: position.stream, rows });
    }
    return { common: { head: position.seq, at: position }, brought: missing.length };
  } catch (error) {
    // The inbox has gone on without this device: what was lost of it there stays here alone.
    if (!(error instanceof SnugError) || error.code !== "conflict") throw error;
    return { common: await findCommon(position, kept, link), brought: 0 };
  }
}

/** The newest row that both have; where nothing that is kept here says so, the server's word for what lies before. */
async function findCommon(
  position: Position,
  kept: readonly Row[],
  link: Pick<Link, "request">,
): Promise<Common> {
  const { stream } = position;
  const compare = (seqs: number[]): Promise<ResponseOf<"restore-compare">> =>
    link.request("restore-compare", { stream, seqs });
  const known: readonly Pick<Position, "seq" | "rowHash">[] =
    kept.length > 0 ? kept : [position].filter(({ seq }) => seq > 0);
  const { head } = await compare([]);
  // Below `low` all are the same, from `high` on none is: each answer leaves the part between two probes.
  let low = 0;
  let high = known.length;
  while (low < high) {
    const step = Math.max(1, Math.ceil((high - low) / limits.rowBatch));
    const probes: number[] = [];
    for (let at = low; at < high; at += step) probes.push(at);
    const { hashes } = await compare(probes.map((at) => known[at]?.seq ?? 0));
    const other = probes.findIndex((at, nth) => hashes[nth] !== known[at]?.rowHash);
    const same = other < 0 ? probes.at(-1) : probes[other - 1];
    if (other >= 0) high = probes[other] ?? low;
    low = same === undefined ? low : same + 1;
  }
  const last = known[low - 1];
  if (last) return { head, at: { seq: last.seq, rowHash: last.rowHash } };
  const before = Math.min(head, (known[0]?.seq ?? 1) - 1);
  const rowHash = before > 0 ? (await compare([before])).hashes[0] : undefined;
  return { head, at: rowHash ? { seq: before, rowHash } : start(position) };
}

function start(position: Position): Pick<Position, "seq" | "rowHash"> {
  const { seq, rowHash } = firstPosition({ incarnation: position.incarnation, inbox: position.stream });
  return { seq, rowHash };
}

/** As many rows as fit into a frame, at least one. */
function* pages(rows: readonly Row[]): Generator<Row[]> {
  let page: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    // Beside its sealed bytes a row takes less than 700.
    const size = (row.sealed?.length ?? 0) + 700;
    if (page.length > 0 && (page.length === limits.rowBatch || bytes + size > limits.frame - 1024)) {
      yield page;
      [page, bytes] = [[], 0];
    }
    page.push(row);
    bytes += size;
  }
  if (page.length > 0) yield page;
}

function words(of: {
  readonly brought: number;
  readonly again: number;
  readonly restored: ResponseOf<"sign-in">["restored"];
}): string {
  const when = of.restored ? ` of ${new Date(of.restored.backup).toISOString().slice(0, 16)} UTC` : "";
  const brought = counted(of.brought, {
    one: "1 letter that it had lost was brought back from here.",
    many: "letters that it had lost were brought back from here.",
  });
  const again = counted(of.again, {
    one: "1 letter of yours that had not arrived by then is sent again.",
    many: "letters of yours that had not arrived by then are sent again.",
  });
  return `The server was restored from a backup${when.replace("T", " ")}.${brought}${again} Nothing that this device knows is lost; invites made before are void.`;
}

function counted(count: number, say: { readonly one: string; readonly many: string }): string {
  if (count === 0) return "";
  return count === 1 ? ` ${say.one}` : ` ${count} ${say.many}`;
}
