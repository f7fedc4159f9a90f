import type { ReactElement } from "react";
import { inWords } from "../client.tsx";
import { bringHere } from "../engine/session.ts";
import { Button } from "../parts/Button.tsx";
import { Card } from "./Card.tsx";
import styles from "./card.module.css";

const again = (): void => location.assign("/");

/** Opening takes a few hundred milliseconds: the frame stands still meanwhile, without a word. */
export function Starting(): ReactElement {
  return <main aria-busy="true" aria-label="Snug is opening" />;
}

export function Unsupported({ lacks }: { readonly lacks: string }): ReactElement {
  return (
    <Card title="This browser can’t run Snug">
      <p className={styles.text}>
        Snug seals what you write inside the browser, and this one lacks {lacks}. A current Firefox, Chrome,
        Edge or Safari has it.
      </p>
      <Button look="main" onClick={() => location.reload()}>
        Try again
      </Button>
    </Card>
  );
}

export function NoStorage(): ReactElement {
  return (
    <Card title="This browser keeps nothing">
      <p className={styles.text}>
        Snug stores your keys and letters in this browser, and the browser refuses. Private windows often do.
        Open the same page in a normal window, or allow this site to store data.
      </p>
      <Button look="main" onClick={() => location.reload()}>
        Try again
      </Button>
    </Card>
  );
}

export function Elsewhere(): ReactElement {
  return (
    <Card title="Snug is open in another tab">
      <p className={styles.text}>One tab at a time holds your keys, so that nothing is written twice.</p>
      <Button look="main" data-testid="use-here" onClick={() => void bringHere()}>
        Use it here
      </Button>
    </Card>
  );
}

export function Failed({ why }: { readonly why: string }): ReactElement {
  return (
    <Card title="Snug could not open">
      <p className={styles.text} role="alert">
        {why}
      </p>
      <Button look="main" onClick={() => location.reload()}>
        Try again
      </Button>
    </Card>
  );
}

/** In place of a screen that could not be drawn: a fault of ours, said in its own words for whoever can mend it. */
export function Broken({ why }: { readonly why: string }): ReactElement {
  return (
    <Card title="Something went wrong here">
      <p className={styles.text} role="alert">
        This screen could not be shown. Your keys and letters are kept. If it happens again, tell whoever
        looks after this server what stands below.
      </p>
      <code className={styles.fault} data-testid="fault">
        {why}
      </code>
      <Button look="main" onClick={again}>
        Open Snug anew
      </Button>
    </Card>
  );
}

export function Ended({ why }: { readonly why: string }): ReactElement {
  return (
    <Card title="Goodbye">
      <p className={styles.text}>{inWords(why)} Keys and letters are erased from this browser.</p>
      <Button look="main" onClick={again}>
        Start again
      </Button>
    </Card>
  );
}
