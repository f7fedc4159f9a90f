import type { OpenInvite } from "@snug/client";
import { type ReactElement, useCallback, useEffect, useState } from "react";
import { inWords, useClient, useJoined } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { CopyButton } from "../parts/CopyButton.tsx";
import { QrCode } from "../parts/QrCode.tsx";
import { Sheet, SheetActions } from "../parts/Sheet.tsx";
import { endTime } from "../wording.ts";
import { OpenInvites } from "./OpenInvites.tsx";
import { Problem } from "./Problem.tsx";
import styles from "./people.module.css";

interface Props {
  readonly open: boolean;
  readonly onClose: () => void;
}

/** Looking makes no link: each stands until it is used or ended, and there is a bound on how many may stand. */
export function InviteSheet({ open, onClose }: Props): ReactElement {
  return (
    <Sheet open={open} onClose={onClose} title="Invite somebody">
      <Invite onClose={onClose} />
    </Sheet>
  );
}

/** How many a counted link lets in. */
const several = 10;

/** A link that stands on the screen. */
interface Shown {
  readonly link: string;
  /** Whom it lets in and how long, in a sentence. */
  readonly said: string;
}

function Invite({ onClose }: { readonly onClose: () => void }): ReactElement {
  const client = useClient();
  const { people } = useJoined();
  const [invites, setInvites] = useState<readonly OpenInvite[] | null>(null);
  const [shown, setShown] = useState<Shown | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const read = useCallback(async (): Promise<void> => {
    try {
      setInvites(await client.invites());
    } catch (error) {
      setProblem(inWords(error));
    }
  }, [client]);
  useEffect(() => {
    // Whoever comes in uses a link up.
    if (people.length > 0) void read();
  }, [read, people.length]);
  const act = async (what: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      await what();
    } catch (error) {
      setProblem(inWords(error));
    }
    await read();
    setBusy(false);
  };
  const make = (uses: number): Promise<void> =>
    act(async () => {
      const link = await client.invite({ uses });
      setShown({ link, said: meaning({ once: uses === 1, uses, until: "within seven days" }) });
    });

  if (shown) return <TheLink {...shown} onBack={() => setShown(null)} onClose={onClose} />;
  return (
    <>
      <p>
        Whoever has a link can come in by it, so hand it over safely. One for one person verifies both of you.
      </p>
      <Problem why={problem} />
      <div className={styles.making}>
        <Button look="main" data-testid="invite-one" busy={busy} onClick={() => void make(1)}>
          Make a link for one person
        </Button>
        <Button data-testid="invite-several" busy={busy} onClick={() => void make(several)}>
          Make one for up to {several} people
        </Button>
      </div>
      <OpenInvites
        invites={invites}
        busy={busy}
        onShow={({ link, once }, { usesLeft: uses, expires }) =>
          setShown({ link, said: meaning({ once, uses, until: `until ${endTime(expires)}` }) })
        }
        onRevoke={({ hash }) => void act(() => client.revokeInvite(hash))}
      />
    </>
  );
}

function meaning(of: { readonly once: boolean; readonly uses: number; readonly until: string }): string {
  if (of.once) return `This link lets one person in, ${of.until}, and verifies both of you.`;
  const whom = of.uses === 1 ? "one more person" : `${of.uses} people`;
  return `This link lets ${whom} in, ${of.until}. Compare safety numbers afterwards.`;
}

interface LinkProps extends Shown {
  readonly onBack: () => void;
  readonly onClose: () => void;
}

function TheLink({ link, said, onBack, onClose }: LinkProps): ReactElement {
  return (
    <>
      {/* What was pressed is gone: the keyboard and the reader of the screen go on here. */}
      <p ref={focus} tabIndex={-1} className={styles.said}>
        {said} Whoever has it can come in, so hand it over safely.
      </p>
      <div className={styles.codes}>
        <QrCode text={link} label="The link as a code for a camera" />
      </div>
      <code className={styles.link} data-testid="invite-link">
        {link}
      </code>
      <button type="button" className={styles.other} data-testid="invite-others" onClick={onBack}>
        Other links
      </button>
      <SheetActions>
        <CopyButton text={link} label="Copy the link" />
        <Button look="main" onClick={onClose}>
          Done
        </Button>
      </SheetActions>
    </>
  );
}

function focus(element: HTMLElement | null): void {
  element?.focus();
}
