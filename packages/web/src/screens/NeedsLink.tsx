import { mendLink } from "@snug/protocol";
import { type FormEvent, type ReactElement, useState } from "react";
import { Button } from "../parts/Button.tsx";
import { Card } from "./Card.tsx";
import styles from "./card.module.css";

/** Somebody without an account and without a link. */
export function NeedsLink({ onLink }: { readonly onLink: (link: string) => void }): ReactElement {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const link = URL.parse(mendLink(text));
    if (!link?.protocol.startsWith("http") || link.hash.length < 2) {
      setProblem("This is not a whole Snug link. Copy it again from its first letter to its last.");
    } else if (link.origin === location.origin) onLink(link.href);
    // Keys belong to the address they were made at: another server's link opens there.
    else location.assign(link.href);
  };
  return (
    <Card title="You need a link to come in">
      <p className={styles.text}>
        Somebody who is here already can make one for you: People, then Invite. The first person gets it from
        the terminal where the server was started.
      </p>
      <form className={styles.form} onSubmit={submit}>
        <div>
          <label className={styles.label} htmlFor="link">
            Link
          </label>
          <input
            id="link"
            className={styles.field}
            data-testid="link-field"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="https://…/join#…"
            autoComplete="off"
            spellCheck={false}
            aria-invalid={problem !== ""}
            aria-describedby="link-problem"
          />
          <p id="link-problem" className={styles.problem} role="alert">
            {problem}
          </p>
        </div>
        <Button look="main" type="submit" disabled={text.trim() === ""}>
          Open the link
        </Button>
      </form>
    </Card>
  );
}
