import { type ReactElement, useEffect } from "react";
import { Button } from "../parts/Button.tsx";
import { CopyButton } from "../parts/CopyButton.tsx";
import { Card } from "./Card.tsx";
import styles from "./card.module.css";

interface Props {
  readonly code: string;
  readonly onDone: () => void;
}

/** The one time that the recovery code is on a screen. */
export function Recovery({ code, onDone }: Props): ReactElement {
  useEffect(() => {
    const hold = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", hold);
    return () => removeEventListener("beforeunload", hold);
  }, []);
  return (
    <Card title="Write down your recovery code">
      <p className={styles.text}>
        It proves that the account is yours when this device is lost. Snug shows it <strong>once</strong> and
        keeps no copy. Put it on paper, not into this browser.
      </p>
      <output className={styles.code} data-testid="recovery-code" aria-label="Recovery code">
        {code}
      </output>
      <CopyButton text={code} label="Copy" />
      <Button look="main" data-testid="recovery-done" onClick={onDone}>
        I wrote it down
      </Button>
    </Card>
  );
}
