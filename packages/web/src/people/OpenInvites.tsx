import type { InviteView } from "@snug/protocol";
import { X } from "lucide-react";
import { type ReactElement, useCallback, useEffect, useState } from "react";
import { inWords, useClient } from "../client.tsx";
import { IconButton } from "../parts/Button.tsx";
import { endTime } from "../wording.ts";
import styles from "./people.module.css";

/** Links that still let somebody in, each with a way to end it. Read anew with each `made`. */
export function OpenInvites({ made }: { readonly made: string }): ReactElement | null {
  const client = useClient();
  const [open, setOpen] = useState<readonly InviteView[]>([]);
  const [problem, setProblem] = useState("");
  const read = useCallback(async (): Promise<void> => {
    try {
      setOpen(await client.invites());
    } catch (error) {
      setProblem(inWords(error));
    }
  }, [client]);
  useEffect(() => {
    if (made !== "") void read();
  }, [read, made]);
  const revoke = async (hash: InviteView["hash"]): Promise<void> => {
    setProblem("");
    try {
      await client.revokeInvite(hash);
    } catch (error) {
      setProblem(inWords(error));
    }
    await read();
  };
  if (open.length === 0 && problem === "") return null;
  return (
    <section aria-labelledby="open-invites" className={styles.invites}>
      <h3 id="open-invites">Links that let somebody in</h3>
      {problem ? (
        <p className={styles.warn} role="alert">
          {problem}
        </p>
      ) : null}
      <ul>
        {open.map(({ hash, usesLeft, expires }) => (
          <li key={hash} data-testid="open-invite">
            <span>
              {usesLeft === 1 ? "One person" : `${usesLeft} people`}, until {endTime(expires)}
            </span>
            <IconButton
              label={`End the link for ${usesLeft === 1 ? "one person" : `${usesLeft} people`}, until ${endTime(expires)}`}
              data-testid="revoke-invite"
              onClick={() => void revoke(hash)}
            >
              <X size={18} aria-hidden="true" />
            </IconButton>
          </li>
        ))}
      </ul>
    </section>
  );
}
