import { type FormEvent, type ReactElement, type ReactNode, useEffect, useState } from "react";
import { inWords, useClient, useJoined } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { Sheet, SheetActions } from "../parts/Sheet.tsx";
import page from "./page.module.css";
import styles from "./settings.module.css";

export function Settings(): ReactElement {
  const { me, server, connection, repeated } = useJoined();
  const [asked, setAsked] = useState<"nothing" | "sign-out" | "leave">("nothing");
  const close = (): void => setAsked("nothing");
  return (
    <main className={page.page}>
      <h1 className={page.title}>Settings</h1>
      <section className={styles.section} aria-labelledby="you">
        <h2 id="you">This device</h2>
        <dl className={styles.list}>
          <Row name="Name">
            <span dir="auto">{me.name}</span>
            {me.role === "admin" ? " · looks after this server" : null}
          </Row>
          <Row name="Device">
            <code>{me.device}</code>
          </Row>
          <Row name="Server">
            <span dir="auto">{server.name}</span> · {server.origin}
          </Row>
          <Row name="Server’s id">
            <code>{server.id}</code>
          </Row>
          <Row name="Connection">{connectionInWords(connection.is)}</Row>
          {repeated > 0 ? (
            <Row name="Came twice">
              <span data-testid="repeated">
                {repeated === 1 ? "1 letter, which was left out" : `${repeated} letters, which were left out`}
              </span>
            </Row>
          ) : null}
          <Row name="Storage">
            <Storage />
          </Row>
          <Row name="Look">Light or dark, as this device is set</Row>
        </dl>
      </section>
      <section className={styles.section} aria-labelledby="recovery">
        <h2 id="recovery">Recovery code</h2>
        <p>
          It was shown once, when you joined, and no copy exists but yours. It proves that the account is
          yours. Bringing an account to another device with it follows in a later version, so keep it.
        </p>
      </section>
      <section className={styles.section} aria-labelledby="going">
        <h2 id="going">Going away</h2>
        <div className={styles.actions}>
          <Button data-testid="sign-out" onClick={() => setAsked("sign-out")}>
            Sign out
          </Button>
          <Button look="danger" data-testid="leave" onClick={() => setAsked("leave")}>
            Leave this server
          </Button>
        </div>
      </section>
      <Sheet open={asked === "sign-out"} onClose={close} title="Sign out here?">
        <SignOut onClose={close} />
      </Sheet>
      <Sheet open={asked === "leave"} onClose={close} title="Leave this server?">
        <Leave onClose={close} />
      </Sheet>
    </main>
  );
}

function Row({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactElement {
  return (
    <div className={styles.row}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function connectionInWords(is: "connecting" | "online" | "offline" | "stopped"): string {
  return {
    connecting: "Connecting",
    online: "Connected",
    offline: "Server is not reachable",
    stopped: "Stopped",
  }[is];
}

/** Whether the browser may throw keys and letters away when its disk is short. */
function Storage(): ReactElement {
  const [persisted, setPersisted] = useState<boolean | null>(null);
  const [refused, setRefused] = useState(false);
  useEffect(() => void navigator.storage.persisted().then(setPersisted), []);
  const ask = async (): Promise<void> => {
    const granted = await navigator.storage.persist();
    setPersisted(granted);
    setRefused(!granted);
  };
  if (persisted === null) return <>…</>;
  if (persisted) return <>Kept: the browser won’t clear it by itself</>;
  return (
    <>
      The browser may clear it when its disk is short.{" "}
      {refused ? (
        "It said no this time."
      ) : (
        <button type="button" className={styles.inline} onClick={() => void ask()}>
          Ask it to keep Snug
        </button>
      )}
    </>
  );
}

function SignOut({ onClose }: { readonly onClose: () => void }): ReactElement {
  const client = useClient();
  const { run, busy, problem } = useEnding(() => client.signOut());
  return (
    <>
      <p>
        This erases your keys and letters from this browser. There is no way back into the account yet: with
        the recovery code there will be, in a later version.
      </p>
      {problem ? <p role="alert">{problem}</p> : null}
      <SheetActions>
        <Button onClick={onClose}>Stay</Button>
        <Button look="danger" busy={busy} data-testid="sign-out-confirm" onClick={() => void run()}>
          Erase and sign out
        </Button>
      </SheetActions>
    </>
  );
}

function Leave({ onClose }: { readonly onClose: () => void }): ReactElement {
  const client = useClient();
  const { me } = useJoined();
  const [typed, setTyped] = useState("");
  const { run, busy, problem } = useEnding(() => client.leave());
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void run();
  };
  return (
    <form className={styles.leave} onSubmit={submit}>
      <p>
        Your account is removed for everybody, for good, and this browser forgets its keys and letters. Nobody
        can take your name again. What others received from you stays with them.
      </p>
      <label htmlFor="leave-name">
        Type <strong dir="auto">{me.name}</strong> to confirm
      </label>
      <input
        id="leave-name"
        data-testid="leave-name"
        className={styles.field}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        dir="auto"
        autoComplete="off"
        spellCheck={false}
      />
      {problem ? <p role="alert">{problem}</p> : null}
      <SheetActions>
        <Button onClick={onClose}>Stay</Button>
        <Button
          look="danger"
          type="submit"
          busy={busy}
          disabled={typed !== me.name}
          data-testid="leave-confirm"
        >
          Leave for good
        </Button>
      </SheetActions>
    </form>
  );
}

function useEnding(end: () => Promise<void>): {
  readonly run: () => Promise<void>;
  readonly busy: boolean;
  readonly problem: string;
} {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const run = async (): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      await end();
    } catch (error) {
      setProblem(inWords(error));
      setBusy(false);
    }
  };
  return { run, busy, problem };
}
