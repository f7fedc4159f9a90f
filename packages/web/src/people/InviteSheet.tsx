import { type ReactElement, useState } from "react";
import { inWords, useClient } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { CopyButton } from "../parts/CopyButton.tsx";
import { QrCode } from "../parts/QrCode.tsx";
import { Sheet, SheetActions } from "../parts/Sheet.tsx";
import styles from "./people.module.css";

interface Props {
  readonly open: boolean;
  readonly onClose: () => void;
}

export function InviteSheet({ open, onClose }: Props): ReactElement {
  return (
    <Sheet open={open} onClose={onClose} title="Invite somebody">
      <Invite onClose={onClose} />
    </Sheet>
  );
}

/** How many a counted link lets in. */
const several = 10;

function Invite({ onClose }: { readonly onClose: () => void }): ReactElement {
  const client = useClient();
  const [uses, setUses] = useState(1);
  const [link, setLink] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const make = async (): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      setLink(await client.invite({ uses }));
    } catch (error) {
      setProblem(inWords(error));
    }
    setBusy(false);
  };
  if (link !== null) {
    return (
      <>
        <p>
          {uses === 1
            ? "Good for one person, for seven days. Give it to them in person or over a channel you trust: whoever has it can come in."
            : `Good for ${uses} people, for seven days. Whoever has it can come in.`}
        </p>
        <div className={styles.codes}>
          <QrCode text={link} label="The link as a code for a camera" />
        </div>
        <code className={styles.link} data-testid="invite-link">
          {link}
        </code>
        <SheetActions>
          <CopyButton text={link} label="Copy the link" />
          <Button look="main" onClick={onClose}>
            Done
          </Button>
        </SheetActions>
      </>
    );
  }
  return (
    <>
      <fieldset className={styles.choice}>
        <legend className="visually-hidden">For how many</legend>
        <label>
          <input type="radio" name="uses" checked={uses === 1} onChange={() => setUses(1)} />
          <span>
            <strong>One person</strong>
            <span>Joining by it verifies both of you.</span>
          </span>
        </label>
        <label>
          <input type="radio" name="uses" checked={uses === several} onChange={() => setUses(several)} />
          <span>
            <strong>Up to {several} people</strong>
            <span>Compare safety numbers afterwards.</span>
          </span>
        </label>
      </fieldset>
      {problem ? (
        <p className={styles.warn} role="alert">
          {problem}
        </p>
      ) : null}
      <SheetActions>
        <Button look="main" data-testid="invite-make" busy={busy} onClick={() => void make()}>
          Make a link
        </Button>
      </SheetActions>
    </>
  );
}
