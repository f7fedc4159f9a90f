import { randomBytes } from "node:crypto";
import type { TitleId } from "@snug/protocol";
import type { TitleRecord } from "./records.ts";

// The worker imports types only from the protocol: its schemas would double the thread's start and add 14 MB to it.
// So ids, which are born here and come back from our own records, are named as what they are.
const freshId = (): TitleId => randomBytes(16).toString("base64url") as TitleId;

/** A title as the folder shows it now, to be matched with the one it was. */
export interface Sighting {
  readonly key: string;
  readonly contents: readonly string[];
}

/**
 * Which id each title has (VL5). A known id goes, in this order, to the title with its key and some of its contents, with
 * some of its contents, with its key; a title that nothing matches gets a fresh random one. No id goes to two titles.
 */
export function matchIds(sightings: readonly Sighting[], known: readonly TitleRecord[]): TitleId[] {
  const ids: (TitleId | undefined)[] = sightings.map(() => undefined);
  const free = new Set(known);
  const byKey = new Map<string, TitleRecord[]>();
  const byContent = new Map<string, TitleRecord[]>();
  for (const record of known) {
    append(byKey, record.key, record);
    for (const content of record.contents) append(byContent, content, record);
  }
  const sameContent = ({ contents }: Sighting): TitleRecord[] =>
    contents.flatMap((content) => byContent.get(content) ?? []);
  const ways: ((sighting: Sighting) => TitleRecord | undefined)[] = [
    (sighting) => sameContent(sighting).find((record) => record.key === sighting.key && free.has(record)),
    (sighting) => sameContent(sighting).find((record) => free.has(record)),
    ({ key }) => byKey.get(key)?.find((record) => free.has(record)),
  ];
  for (const way of ways) {
    sightings.forEach((sighting, at) => {
      if (ids[at] !== undefined) return;
      const record = way(sighting);
      if (record === undefined) return;
      free.delete(record);
      ids[at] = record.id as TitleId;
    });
  }
  return ids.map((id) => id ?? freshId());
}

function append(map: Map<string, TitleRecord[]>, key: string, record: TitleRecord): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [record]);
  else list.push(record);
}
