/** Longer than any word; addresses are broken somewhere anyway. In UTF-16 units. */
const longest = 100;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

interface Piece {
  /** Where it begins in the text. */
  readonly from: number;
  readonly text: string;
}

/**
 * A text in pieces between which a line may end. A browser that has to find a line's end inside a word shapes the
 * rest of the word anew for each line: 64 KiB without a space, as anybody can send them, would keep a page busy for
 * half a minute. No piece ends inside a character.
 */
export function breakable(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { index, 0: word } of text.matchAll(/\S{101,}/g)) {
    let last = index;
    for (const grapheme of graphemes.segment(word)) {
      const at = index + grapheme.index;
      if (at - last < longest) continue;
      pieces.push({ from, text: text.slice(from, at) });
      from = at;
      last = at;
    }
  }
  pieces.push({ from, text: text.slice(from) });
  return pieces;
}
