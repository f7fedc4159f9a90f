import { type ReactElement, useCallback, useEffect, useState } from "react";
import { inWords, useClient } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { CopyButton } from "../parts/CopyButton.tsx";
import { QrCode } from "../parts/QrCode.tsx";
import { Sheet, SheetActions } from "../parts/Sheet.tsx";
import { OpenInvites } from "./OpenInvites.tsx";
import styles from "./people.module.css";

interface Props {
  readonly open: boolean;
  readonly onClose: () => void;
}

/** A link for one person stands there at once: the likeliest wish needs no question. */
export function InviteSheet({ open, onClose }: Props): ReactElement {
  return (
    <Sheet open={open} onClose={onClose} title="Invite somebody">
      <Invite onClose={onClose} />
    </Sheet>
  );
}

/** How many a counted link lets in. */
const several = 10;

type Made =
  | { readonly is: "making" }
  | { readonly is: "made"; readonly link: string; readonly uses: number }
  | { readonly is: "failed"; readonly why: string; readonly uses: number };

function Invite({ onClose }: { readonly onClose: () => void }): ReactElement {
  const client = useClient();
  const [made, setMade] = useState<Made>({ is: "making" });
  const make = useCallback(
    async (uses: number): Promise<void> => {
      setMade({ is: "making" });
      try {
        setMade({ is: "made", link: await client.invite({ uses }), uses });
      } catch (error) {
        setMade({ is: "failed", why: inWords(error), uses });
      }
    },
    [client],
  );
  useEffect(() => void make(1), [make]);
  switch (made.is) {
    case "making":
      return <div className={styles.making} role="status" aria-label="The link is being made" />;
    case "failed":
      return (
        <>
          <p className={styles.warn} role="alert">
            {made.why}
          </p>
          <OpenInvites made={made.why} />
          <SheetActions>
            <Button look="main" onClick={() => void make(made.uses)}>
              Try again
            </Button>
          </SheetActions>
        </>
      );
    case "made":
      return (
        <>
          <p>
            {made.uses === 1
              ? "This link lets one person in, within seven days, and verifies both of you. Whoever has it can come in, so hand it over safely."
              : `This link lets ${made.uses} people in, within seven days. Whoever has it can come in. Compare safety numbers afterwards.`}
          </p>
          <div className={styles.codes}>
            <QrCode text={made.link} label="The link as a code for a camera" />
          </div>
          <code className={styles.link} data-testid="invite-link">
            {made.link}
          </code>
          {made.uses === 1 ? (
            <button
              type="button"
              className={styles.other}
              data-testid="invite-several"
              onClick={() => void make(several)}
            >
              Make one for up to {several} people
            </button>
          ) : null}
          <SheetActions>
            <CopyButton text={made.link} label="Copy the link" />
            <Button look="main" onClick={onClose}>
              Done
            </Button>
          </SheetActions>
          <OpenInvites made={made.link} />
        </>
      );
  }
}
