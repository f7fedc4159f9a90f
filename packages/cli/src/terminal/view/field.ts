import { Text } from "ink";
import { createElement as h, type ReactElement } from "react";
import { harmless } from "../../output.ts";
import { type Field, moveRight } from "../field.ts";

/** A text being typed, the cursor drawn as an inverse cell. */
export function fieldView(of: { readonly label: string; readonly field: Field }): ReactElement {
  const { before, after } = of.field;
  const beyond = moveRight(of.field).after;
  const under = after.slice(0, after.length - beyond.length);
  // A line break under the cursor needs a cell of its own to be seen.
  const cell = under === "" || under === "\n" ? " " : under;
  return h(
    Text,
    { wrap: "hard" },
    h(Text, { bold: true }, of.label),
    harmless(before),
    h(Text, { inverse: true }, harmless(cell)),
    harmless(under === "\n" ? `\n${beyond}` : beyond),
  );
}
