import { House } from "lucide-react";
import type { ReactElement } from "react";
import styles from "./mark.module.css";

/** The sign of Snug: a house with the door open. */
export function Mark(): ReactElement {
  return (
    <span className={styles.mark} aria-hidden="true">
      <House size={20} strokeWidth={2} />
    </span>
  );
}
