import type { ReactElement, ReactNode } from "react";
import styles from "./empty.module.css";

interface Props {
  readonly icon: ReactNode;
  readonly title: string;
  readonly text: string;
  readonly children?: ReactNode;
}

/** A place where nothing is yet: one sentence, one action. */
export function Empty({ icon, title, text, children }: Props): ReactElement {
  return (
    <div className={styles.empty}>
      <span className={styles.icon} aria-hidden="true">
        {icon}
      </span>
      <h2 className={styles.title}>{title}</h2>
      <p className={styles.text}>{text}</p>
      {children}
    </div>
  );
}
