import type { ReactElement } from "react";
import styles from "./people.module.css";

/** Why something did not work, said at once; nothing while there is no reason. */
export function Problem({ why }: { readonly why: string }): ReactElement | null {
  if (why === "") return null;
  return (
    <p className={styles.warn} role="alert">
      {why}
    </p>
  );
}
