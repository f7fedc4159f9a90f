import type { DeviceView, Person } from "@snug/client";
import { type ReactElement, useEffect, useId, useState } from "react";
import { inWords, useClient, useJoined } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { Isolated } from "../parts/Isolated.tsx";
import { Sheet, SheetActions } from "../parts/Sheet.tsx";
import styles from "./manage.module.css";
import { Problem } from "./Problem.tsx";

/** What is asked about before it is done, because it can't be taken back. */
type Asked =
  | { readonly is: "remove" }
  | { readonly is: "end"; readonly view: DeviceView; readonly last: boolean };

/** What only an administrator may do about somebody else; everybody here is told. */
export function Manage({ person }: { readonly person: Person }): ReactElement {
  const client = useClient();
  const { people } = useJoined();
  const heading = useId();
  const [devices, setDevices] = useState<readonly DeviceView[]>([]);
  const [asked, setAsked] = useState<Asked | null>(null);
  const { run, busy, problem, setProblem } = useAct();
  const { account } = person;
  useEffect(() => {
    // Read again at each change of the directory, which is one of the people too.
    const known = people.some((one) => one.account === account);
    if (known) client.devices(account).then(setDevices, (error: unknown) => setProblem(inWords(error)));
  }, [client, account, people, setProblem]);
  const role = person.role === "admin" ? "member" : "admin";
  const last = devices.filter(({ endedBy }) => endedBy === null).length === 1;
  return (
    <section className={styles.manage} aria-labelledby={heading}>
      <h3 id={heading}>Manage</h3>
      <p className={styles.hint}>Everybody on this server is told what you change here.</p>
      <ul className={styles.list} aria-label={`Devices of ${person.name}`}>
        {devices.map((view, at) => (
          <li key={view.device} className={styles.device}>
            <span className={styles.text}>
              <strong>Device {at + 1}</strong>
              <span className={styles.small}>{deviceInWords(view)}</span>
            </span>
            {view.endedBy === null ? (
              <Button
                aria-label={`End device ${at + 1}`}
                data-testid={`end-device-${at + 1}`}
                onClick={() => setAsked({ is: "end", view, last })}
              >
                End
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
      {problem && !asked ? (
        <p className={styles.warn} role="alert">
          {problem}
        </p>
      ) : null}
      <div className={styles.actions}>
        <Button
          busy={busy}
          data-testid="change-role"
          onClick={() => void run(() => client.setRole(account, role))}
        >
          {role === "admin" ? "Make an administrator" : "Make a member again"}
        </Button>
        <Button look="danger" data-testid="remove-person" onClick={() => setAsked({ is: "remove" })}>
          Remove from this server
        </Button>
      </div>
      <Confirm person={person} asked={asked} onClose={() => setAsked(null)} />
    </section>
  );
}

interface ConfirmProps {
  readonly person: Person;
  readonly asked: Asked | null;
  readonly onClose: () => void;
}

function Confirm({ person, asked, onClose }: ConfirmProps): ReactElement {
  const client = useClient();
  const { run, busy, problem } = useAct();
  const { account, name } = person;
  const go = async (): Promise<void> => {
    const done = await run(() =>
      asked?.is === "end" ? client.endDevice(account, asked.view.device) : client.removeAccount(account),
    );
    if (done) onClose();
  };
  const ends = asked?.is === "end";
  return (
    <Sheet
      open={asked !== null}
      onClose={onClose}
      title={ends ? `End a device of ${name}?` : `Remove ${name}?`}
    >
      <p>
        {ends ? (
          <>
            The device {deviceInWords(asked.view)} can’t sign in again.{" "}
            {asked.last ? (
              <>
                It is the only one: nobody comes in as <Isolated text={name} /> any more, and nobody can take
                the name again.
              </>
            ) : (
              <>
                <Isolated text={name} /> stays on this server with their other devices.
              </>
            )}{" "}
            It can’t be taken back.
          </>
        ) : (
          <>
            <Isolated text={name} /> can’t sign in, write or watch here any more, and nobody can take the name
            again. What they received stays on their devices, and what you have of them stays here. It can’t
            be taken back.
          </>
        )}
      </p>
      <Problem why={problem} />
      <SheetActions>
        <Button onClick={onClose}>Keep</Button>
        <Button look="danger" busy={busy} data-testid="manage-confirm" onClick={() => void go()}>
          {ends ? "End the device" : "Remove for good"}
        </Button>
      </SheetActions>
    </Sheet>
  );
}

function deviceInWords({ added, ends, endedBy, rights }: DeviceView): string {
  const parts = [`added on ${day(added)}`];
  if (rights === "send-only") parts.push("only writes");
  if (endedBy !== null) parts.push("ended");
  else if (ends !== null) parts.push(`until ${day(ends)}`);
  return parts.join(", ");
}

function day(time: number): string {
  return new Date(time).toLocaleDateString(undefined, { dateStyle: "medium" });
}

/** Runs something once at a time; what goes wrong is said where it was asked for. */
function useAct(): {
  readonly run: (act: () => Promise<void>) => Promise<boolean>;
  readonly busy: boolean;
  readonly problem: string;
  readonly setProblem: (problem: string) => void;
} {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const run = async (act: () => Promise<void>): Promise<boolean> => {
    setBusy(true);
    setProblem("");
    try {
      await act();
      return true;
    } catch (error) {
      setProblem(inWords(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { run, busy, problem, setProblem };
}
