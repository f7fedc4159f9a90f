import type { OpenInvite } from "@snug/client";
import { X } from "lucide-react";
import type { ReactElement } from "react";
import { Button, IconButton } from "../parts/Button.tsx";
import { endTime } from "../wording.ts";
import styles from "./people.module.css";

interface Props {
  /** null until they are known. */
  readonly invites: readonly OpenInvite[] | null;
  readonly busy: boolean;
  readonly onShow: (kept: NonNullable<OpenInvite["kept"]>, invite: OpenInvite) => void;
  readonly onRevoke: (invite: OpenInvite) => void;
}

/** Links that still let somebody in, newest first, each with a way to see it again and to end it. */
export function OpenInvites({ invites, busy, onShow, onRevoke }: Props): ReactElement {
  return (
    <section aria-labelledby="open-invites" className={styles.invites}>
      <h3 id="open-invites">Links that let somebody in</h3>
      {invites === null ? (
        <div className={styles.reading} role="status" aria-label="Links are being read" />
      ) : null}
      {invites?.length === 0 ? <p className={styles.small}>There is none now.</p> : null}
      <ul>
        {invites?.toReversed().map((invite) => {
          const { hash, kept } = invite;
          const whom = whomInWords(invite);
          const until = `until ${endTime(invite.expires)}`;
          return (
            <li key={hash} data-testid="open-invite">
              <span>
                <strong>{whom}</strong>
                <span>
                  made {endTime(invite.created)}
                  {kept ? "" : ", on another device"}, good {until}
                </span>
              </span>
              {kept ? (
                <Button
                  aria-label={`Show the link for ${whom}, ${until}`}
                  data-testid="show-invite"
                  onClick={() => onShow(kept, invite)}
                >
                  Show
                </Button>
              ) : null}
              <IconButton
                label={`End the link for ${whom}, ${until}`}
                data-testid="revoke-invite"
                disabled={busy}
                onClick={() => onRevoke(invite)}
              >
                <X size={18} aria-hidden="true" />
              </IconButton>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function whomInWords({ usesLeft, kept }: OpenInvite): string {
  if (usesLeft > 1) return `${usesLeft} people`;
  return kept?.once === false ? "one more person" : "one person";
}
