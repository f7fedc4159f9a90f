import type { ReactElement } from "react";
import styles from "./avatar.module.css";

const hues = 8;

interface Props {
  readonly person: { readonly account: string; readonly name: string; readonly online: boolean };
}

/** The first letter on the account's own hue; names may look alike, so the hue comes from the id. */
export function Avatar({ person }: Props): ReactElement {
  const first = [...new Intl.Segmenter().segment(person.name)][0]?.segment ?? "?";
  // No writing puts more marks on a letter that matter here; any number of them would leave the circle.
  const letter = first.replace(/(\p{M}{2})\p{M}+/gu, "$1").toUpperCase();
  return (
    <span className={styles.avatar} data-hue={person.account.charCodeAt(0) % hues} aria-hidden="true">
      {letter}
      {person.online ? <span className={styles.here} /> : null}
    </span>
  );
}
