import type { ReactElement, ReactNode } from "react";
import { Mark } from "../parts/Mark.tsx";
import styles from "./card.module.css";

/** The page of everything before the rooms: one card in the middle. */
export function Card({
  title,
  children,
}: {
  readonly title: ReactNode;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <main className={styles.page}>
      <section className={styles.card} aria-labelledby="card-title">
        <Mark />
        <h1 id="card-title" className={styles.title} dir="auto">
          {title}
        </h1>
        {children}
      </section>
    </main>
  );
}
