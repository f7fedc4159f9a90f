import type { ReactElement } from "react";

/** Directional embeddings, overrides and isolates. */
const directional = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * Somebody's text inside a line of ours, which it must not turn round. The element alone is not enough: an isolate
 * that the text opens and leaves open takes the element's end for its own.
 */
export function Isolated({ text }: { readonly text: string }): ReactElement {
  return <bdi>{text.replace(directional, "\ufffd")}</bdi>;
}
