import { awaitsLook, type Person } from "@snug/client";
import type { AccountId } from "@snug/protocol";
import { ChevronLeft, Info, TriangleAlert, UserX } from "lucide-react";
import { type ReactElement, useEffect, useState } from "react";
import { inWords, useClient, useJoined, usePerson } from "../client.tsx";
import { Link } from "../navigation.tsx";
import { Avatar } from "../parts/Avatar.tsx";
import { Button, IconButton } from "../parts/Button.tsx";
import { Empty } from "../parts/Empty.tsx";
import { Isolated } from "../parts/Isolated.tsx";
import { TrustLine } from "../parts/TrustLine.tsx";
import { PersonSheet } from "../people/PersonSheet.tsx";
import { Composer } from "./Composer.tsx";
import styles from "./conversation.module.css";
import { Timeline } from "./Timeline.tsx";

export function Conversation({ account }: { readonly account: AccountId }): ReactElement {
  const { me, threads } = useJoined();
  const person = usePerson(account);
  const unread = threads.find((thread) => thread.account === account)?.unread ?? 0;
  const [unreadAtFirst] = useState(unread);
  const [looking, setLooking] = useState(false);
  useReading(account, unread);
  if (!person) {
    return (
      <Empty icon={<UserX size={24} />} title="Nobody here" text="This server has no such person.">
        <Link to={{ at: "chats", account: null }} className={styles.home}>
          Back to the chats
        </Link>
      </Empty>
    );
  }
  return (
    <>
      <Head person={person} onLook={() => setLooking(true)} />
      {awaitsLook(person) ? <KeysInDoubt person={person} onLook={() => setLooking(true)} /> : null}
      <Timeline person={person} me={me.account} unread={unreadAtFirst} onReview={() => setLooking(true)} />
      <Foot person={person} />
      <PersonSheet person={person} open={looking} onClose={() => setLooking(false)} />
    </>
  );
}

/** Letters count as read when the conversation is on a screen that is being looked at. */
function useReading(account: AccountId, unread: number): void {
  const client = useClient();
  useEffect(() => {
    if (unread === 0) return;
    const read = (): void => {
      if (document.visibilityState === "visible") void client.markRead(account);
    };
    read();
    document.addEventListener("visibilitychange", read);
    return () => document.removeEventListener("visibilitychange", read);
  }, [client, account, unread]);
}

function Head({ person, onLook }: { readonly person: Person; readonly onLook: () => void }): ReactElement {
  return (
    <header className={styles.head}>
      <Link to={{ at: "chats", account: null }} className={styles.back} aria-label="Back to the chats">
        <ChevronLeft size={24} aria-hidden="true" />
      </Link>
      <Avatar person={person} />
      <div className={styles.who}>
        <h1 dir="auto">{person.name}</h1>
        <p>
          <TrustLine person={person} />
          <span className={styles.kind}>Letters · no forward secrecy</span>
        </p>
      </div>
      <IconButton label={`About ${person.name}`} data-testid="person-details" onClick={onLook}>
        <Info size={20} aria-hidden="true" />
      </IconButton>
    </header>
  );
}

/** Above the conversation until a person has decided: meanwhile nothing is sent. */
function KeysInDoubt({
  person,
  onLook,
}: {
  readonly person: Person;
  readonly onLook: () => void;
}): ReactElement {
  const client = useClient();
  const [problem, setProblem] = useState("");
  const { name } = person;
  const unproven = person.trust.how === "unproven";
  const accept = async (): Promise<void> => {
    try {
      await client.acceptNewKeys(person.account);
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  return (
    <section className={styles.changed} data-testid="key-changed" role="alert" aria-labelledby="key-changed">
      <TriangleAlert size={20} aria-hidden="true" />
      <div>
        <h2 id="key-changed">
          {unproven ? (
            <>
              This may not be <Isolated text={name} />
            </>
          ) : (
            <>
              <Isolated text={name} />
              ’s keys changed
            </>
          )}
        </h2>
        <p>
          {unproven ? (
            <>
              Somebody joined as <Isolated text={name} /> by an invite of yours, without the proof that only
              its link gives. The server may have put its own keys in.{" "}
            </>
          ) : (
            <>
              This happens when somebody starts over, and also when somebody pretends to be{" "}
              <Isolated text={name} />.{" "}
            </>
          )}
          Nothing is sent until you decide. Ask <Isolated text={name} /> in another way, and compare the
          safety number.
        </p>
        {problem ? <p>{problem}</p> : null}
        <div className={styles.actions}>
          <Button onClick={onLook}>Compare the safety number</Button>
          <Button data-testid="accept-keys" onClick={() => void accept()}>
            {unproven ? "Go on with these keys" : "Go on with the new keys"}
          </Button>
        </div>
      </div>
    </section>
  );
}

function Foot({ person }: { readonly person: Person }): ReactElement {
  if (person.removed) {
    const how = person.removedBy === null ? "has left" : "was removed from";
    return (
      <p className={styles.closed}>
        <Isolated text={person.name} /> {how} this server.
      </p>
    );
  }
  if (person.blocked) {
    return (
      <p className={styles.closed}>
        You have blocked <Isolated text={person.name} />. To write to them, unblock them: look at “About{" "}
        <Isolated text={person.name} />” above.
      </p>
    );
  }
  if (person.newer) {
    return (
      <p className={styles.closed}>
        <Isolated text={person.name} /> uses a newer Snug than this one understands. Reload this page after
        the server is updated.
      </p>
    );
  }
  return <Composer person={person} />;
}
