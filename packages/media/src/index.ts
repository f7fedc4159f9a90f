export { type ByteSource, MediaError, memorySource } from "./byteSource.ts";
export { decodeIndex, encodeIndex, INDEX_VERSION } from "./indexCodec.ts";
export type { PlanInput } from "./ladder.ts";
export { type MediaIndex, readIndex } from "./mediaIndex.ts";
export { planTitle, type Rendition, type TitlePlan } from "./plan.ts";
export { masterPlaylist, mediaPlaylist } from "./playlist.ts";
export { initSegment, mediaSegment } from "./segment.ts";
