import type { TitleView } from "@snug/protocol";
import { length, size } from "../wording.ts";

/** 0:24 · 240p to 1440p · 3.9 MB */
export function describe(title: TitleView): string {
  const heights = title.renditions
    .flatMap(({ kind, height }) => (kind === "video" && height !== undefined ? [height] : []))
    .toSorted((a, b) => a - b);
  const lowest = heights.at(0);
  const highest = heights.at(-1);
  const parts = [length(title.durationMicroseconds)];
  if (lowest !== undefined) parts.push(lowest === highest ? `${lowest}p` : `${lowest}p to ${highest}p`);
  parts.push(size(title.size));
  return parts.join(" · ");
}
