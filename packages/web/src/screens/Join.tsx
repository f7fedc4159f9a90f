import { type InviteLook, NetworkError } from "@snug/client";
import { SnugError } from "@snug/protocol";
import { ShieldCheck } from "lucide-react";
import { type FormEvent, type ReactElement, useCallback, useEffect, useRef, useState } from "react";
import { inWords, useClient } from "../client.tsx";
import { navigate } from "../navigation.tsx";
import { Avatar } from "../parts/Avatar.tsx";
import { Button } from "../parts/Button.tsx";
import { Isolated } from "../parts/Isolated.tsx";
import { Card } from "./Card.tsx";
import styles from "./card.module.css";
import { Recovery } from "./Recovery.tsx";

type Look =
  | { readonly is: "looking" }
  | { readonly is: "seen"; readonly invite: InviteLook }
  | { readonly is: "unreachable" }
  | { readonly is: "refused"; readonly why: string };

interface Props {
  readonly link: string;
  readonly onDone: () => void;
}

/** From the link to the room: who invites, a name, the recovery code. */
export function Join({ link, onDone }: Props): ReactElement {
  const client = useClient();
  const [look, setLook] = useState<Look>({ is: "looking" });
  const [recoveryCode, setRecoveryCode] = useState<string | null>(null);

  const lookUp = useCallback(async (): Promise<void> => {
    setLook({ is: "looking" });
    try {
      setLook({ is: "seen", invite: await client.lookAtInvite(link) });
    } catch (error) {
      setLook(refusal(error));
    }
  }, [client, link]);
  useEffect(() => void lookUp(), [lookUp]);

  if (recoveryCode !== null) {
    const done = (): void => {
      navigate({ at: "chats", account: null }, "replace");
      onDone();
    };
    return <Recovery code={recoveryCode} onDone={done} />;
  }
  switch (look.is) {
    case "looking":
      return (
        <Card title="Looking at the link">
          <div className={styles.skeleton} />
          <div className={styles.skeleton} data-size="tall" />
        </Card>
      );
    case "unreachable":
      return (
        <Card title="The server is not reachable">
          <p className={styles.text} role="alert">
            Nothing is spent yet. The link works once the server answers.
          </p>
          <Button look="main" onClick={() => void lookUp()}>
            Try again
          </Button>
        </Card>
      );
    case "refused":
      return (
        <Card title="This link doesn’t open the door">
          <p className={styles.text} role="alert">
            {look.why}
          </p>
          <Button look="main" onClick={onDone}>
            Use another link
          </Button>
        </Card>
      );
    case "seen":
      return <Entry link={link} invite={look.invite} onJoined={setRecoveryCode} />;
  }
}

function refusal(error: unknown): Look {
  if (error instanceof NetworkError) return { is: "unreachable" };
  const spent = error instanceof SnugError && error.code === "invite-invalid";
  return {
    is: "refused",
    why: spent
      ? `${inWords(error)} Links end after some days, or when they have been used. Ask for a new one.`
      : inWords(error),
  };
}

interface EntryProps {
  readonly link: string;
  readonly invite: InviteLook;
  readonly onJoined: (recoveryCode: string) => void;
}

function Entry({ link, invite, onJoined }: EntryProps): ReactElement {
  const client = useClient();
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // A touch screen would cover the page with its keyboard before it is read.
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      onJoined((await client.join({ link, name: name.trim() })).recoveryCode);
    } catch (error) {
      setProblem(inWords(error));
      setBusy(false);
    }
  };
  const inviter = invite.inviterName;
  return (
    <Card
      title={
        inviter === null ? (
          <>
            Set up Snug at <Isolated text={invite.serverName} />
          </>
        ) : (
          <>
            <Isolated text={inviter} /> invites you
          </>
        )
      }
    >
      <p className={styles.text}>
        {inviter === null ? "You are the first here and look after this server. " : "to "}
        {inviter === null ? null : (
          <>
            <strong>
              Snug at <Isolated text={invite.serverName} />
            </strong>
            .{" "}
          </>
        )}
        What you write here can be read by the people you write to, and by nobody else, not even the server.
      </p>
      {inviter === null ? null : (
        <div className={styles.inviter}>
          <Avatar person={{ account: inviter, name: inviter, online: false }} />
          <span>
            <strong dir="auto">{inviter}</strong>
            <span className={styles.checked}>
              <ShieldCheck size={14} aria-hidden="true" />
              checked by this link
            </span>
          </span>
        </div>
      )}
      <form className={styles.form} onSubmit={(event) => void submit(event)}>
        <div>
          <label className={styles.label} htmlFor="name">
            Your name
          </label>
          <input
            ref={field}
            id="name"
            className={styles.field}
            data-testid="join-name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            dir="auto"
            maxLength={64}
            autoComplete="nickname"
            autoCapitalize="words"
            spellCheck={false}
            aria-invalid={problem !== ""}
            aria-describedby="name-problem"
          />
          <p id="name-problem" className={styles.problem} role="alert">
            {problem}
          </p>
        </div>
        <Button look="main" type="submit" data-testid="join-button" busy={busy} disabled={name.trim() === ""}>
          {busy ? "Making your keys…" : "Join"}
        </Button>
      </form>
      <p className={styles.small}>No phone number, no e-mail, no password.</p>
    </Card>
  );
}
