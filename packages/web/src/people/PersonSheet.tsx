import { awaitsLook, type Person } from "@snug/client";
import { type ReactElement, useEffect, useState } from "react";
import { inWords, useClient, useJoined } from "../client.tsx";
import { Button } from "../parts/Button.tsx";
import { Isolated } from "../parts/Isolated.tsx";
import { QrCode } from "../parts/QrCode.tsx";
import { Sheet, SheetActions } from "../parts/Sheet.tsx";
import { TrustLine } from "../parts/TrustLine.tsx";
import { Blocking } from "./Blocking.tsx";
import { Manage } from "./Manage.tsx";
import { Problem } from "./Problem.tsx";
import styles from "./people.module.css";

interface Props {
  readonly person: Person;
  readonly open: boolean;
  readonly onClose: () => void;
}

/** Who somebody is, and the number that proves it. */
export function PersonSheet({ person, open, onClose }: Props): ReactElement {
  const { me } = useJoined();
  const rules = me.role === "admin";
  return (
    <Sheet open={open} onClose={onClose} title={person.name}>
      <p className={styles.line}>
        <TrustLine person={person} />
        {person.removed ? null : <span>· {person.online ? "here now" : "away"}</span>}
        {person.role === "admin" ? <span>· looks after this server</span> : null}
      </p>
      {person.notice ? (
        <p className={styles.small} dir="auto">
          {person.notice}
        </p>
      ) : null}
      <Safety person={person} onClose={onClose} />
      {person.trust.how === "verified" && person.trust.by === "self" ? null : <Blocking person={person} />}
      {rules && !person.removed && person.account !== me.account ? <Manage person={person} /> : null}
    </Sheet>
  );
}

type Number60 =
  | { readonly is: "computing" }
  | { readonly is: "known"; readonly digits: string }
  | { readonly is: "failed"; readonly why: string };

function Safety({
  person,
  onClose,
}: {
  readonly person: Person;
  readonly onClose: () => void;
}): ReactElement {
  const client = useClient();
  const [number, setNumber] = useState<Number60>({ is: "computing" });
  const [problem, setProblem] = useState("");
  const { account, trust } = person;
  useEffect(() => {
    client.safetyNumber(account).then(
      (digits) => setNumber({ is: "known", digits }),
      (error: unknown) => setNumber({ is: "failed", why: inWords(error) }),
    );
  }, [client, account]);

  const act = async (action: () => Promise<void>): Promise<void> => {
    setProblem("");
    try {
      await action();
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  const self = trust.how === "verified" && trust.by === "self";
  if (self) return <p>Letters to yourself are sealed with your own keys.</p>;
  return (
    <>
      <p>
        Compare these numbers with <Isolated text={person.name} />, side by side or by telephone. If they are
        the same, nobody stands between you.
      </p>
      {number.is === "failed" ? <p role="alert">{number.why}</p> : <Digits number={number} />}
      {number.is === "known" ? (
        <div className={styles.codes}>
          <QrCode text={number.digits.replace(/\s/g, "")} label="The safety number as a code for a camera" />
        </div>
      ) : null}
      <Problem why={problem} />
      <SheetActions>
        {awaitsLook(person) ? (
          <Button onClick={() => void act(() => client.acceptNewKeys(account))}>
            {trust.how === "unproven" ? "Go on with these keys" : "Go on with the new keys"}
          </Button>
        ) : null}
        {trust.how === "verified" ? (
          <Button data-testid="unverify" onClick={() => void act(() => client.setVerified(account, false))}>
            Take the mark back
          </Button>
        ) : (
          <Button
            look="main"
            data-testid="mark-verified"
            disabled={number.is !== "known" || person.removed}
            onClick={() => void act(() => client.setVerified(account, true))}
          >
            They match: mark as verified
          </Button>
        )}
        {trust.how === "verified" ? (
          <Button look="main" onClick={onClose}>
            Done
          </Button>
        ) : null}
      </SheetActions>
    </>
  );
}

function Digits({ number }: { readonly number: Number60 }): ReactElement {
  const groups = number.is === "known" ? (number.digits.match(/\d{5}/g) ?? []) : [];
  return (
    <output
      className={styles.number}
      data-testid="safety-number"
      aria-label="Safety number"
      aria-busy={number.is === "computing"}
    >
      {[0, 4, 8].map((from) => (
        <span key={from}>{`${groups.slice(from, from + 4).join(" ")} `}</span>
      ))}
    </output>
  );
}
