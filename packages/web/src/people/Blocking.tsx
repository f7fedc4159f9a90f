import type { Person } from "@snug/client";
import { type ReactElement, useState } from "react";
import { inWords, useClient } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { SheetActions } from "../parts/Sheet.tsx";
import { Problem } from "./Problem.tsx";
import styles from "./people.module.css";

/** Takes no more letters from somebody, after a question; and takes them again, without one. */
export function Blocking({ person }: { readonly person: Person }): ReactElement {
  const client = useClient();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const { account, name, blocked } = person;
  const set = async (to: boolean): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      await client.setBlocked(account, to);
      setAsking(false);
    } catch (error) {
      setProblem(inWords(error));
    }
    setBusy(false);
  };
  return (
    <section className={styles.blocking} aria-label={`Letters from ${name}`}>
      {blocked ? (
        <p>You take no letters from {name}. What you wrote to them waits.</p>
      ) : asking ? (
        <p>
          The server will refuse letters from {name} and tell them so. What you write to them waits here until
          you unblock them.
        </p>
      ) : null}
      <Problem why={problem} />
      {blocked ? (
        <Button data-testid="unblock" busy={busy} onClick={() => void set(false)}>
          Take letters from {name} again
        </Button>
      ) : asking ? (
        <SheetActions>
          <Button onClick={() => setAsking(false)}>Keep</Button>
          <Button look="danger" data-testid="block-confirm" busy={busy} onClick={() => void set(true)}>
            Block {name}
          </Button>
        </SheetActions>
      ) : (
        <button type="button" className={styles.quiet} data-testid="block" onClick={() => setAsking(true)}>
          Block {name}…
        </button>
      )}
    </section>
  );
}
