import type { Letter, Person, Thread } from "@snug/client";
import type { AccountId } from "@snug/protocol";
import { Plus, Users } from "lucide-react";
import { type ReactElement, useState } from "react";
import { useJoined } from "../client.tsx";
import { Link } from "../navigation.tsx";
import { Avatar } from "../parts/Avatar.tsx";
import { Button } from "../parts/Button.tsx";
import { Empty } from "../parts/Empty.tsx";
import { Isolated } from "../parts/Isolated.tsx";
import { InviteSheet } from "../people/InviteSheet.tsx";
import { clockTime, listTime } from "../wording.ts";
import styles from "./chats.module.css";

export function ChatList({ selected }: { readonly selected: AccountId | null }): ReactElement {
  const { threads, people, me } = useJoined();
  const byAccount = new Map(people.map((person) => [person.account, person]));
  const others = people.filter((person) => person.account !== me.account && !person.removed);
  const sorted = threads.toSorted((a, b) => (b.last?.order ?? 0) - (a.last?.order ?? 0));
  return (
    <section className={styles.list} aria-label="Conversations">
      <header className={styles.listHead}>
        <h1>Chats</h1>
        {others.length > 0 ? (
          <Link
            to={{ at: "people" }}
            className={styles.new}
            aria-label="Write to somebody"
            title="Write to somebody"
          >
            <Plus size={20} aria-hidden="true" />
          </Link>
        ) : null}
      </header>
      {sorted.length === 0 ? (
        <NobodyYet alone={others.length === 0} />
      ) : (
        <ul className={styles.threads}>
          {sorted.map((thread) => (
            <li key={thread.account}>
              <ThreadRow
                thread={thread}
                person={byAccount.get(thread.account)}
                me={me.account}
                selected={thread.account === selected}
              />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function NobodyYet({ alone }: { readonly alone: boolean }): ReactElement {
  const [inviting, setInviting] = useState(false);
  return alone ? (
    <Empty
      icon={<Users size={24} />}
      title="You are the first here"
      text="Invite somebody by a link. Whoever opens it can write to you at once."
    >
      <Button look="main" data-testid="invite-make" onClick={() => setInviting(true)}>
        Invite somebody
      </Button>
      <InviteSheet open={inviting} onClose={() => setInviting(false)} />
    </Empty>
  ) : (
    <Empty
      icon={<Users size={24} />}
      title="No letters yet"
      text="The people of this server are one step away."
    >
      <Link to={{ at: "people" }} className={styles.writeFirst}>
        Write to somebody
      </Link>
    </Empty>
  );
}

interface RowProps {
  readonly thread: Thread;
  readonly person: Person | undefined;
  readonly me: AccountId;
  readonly selected: boolean;
}

function ThreadRow({ thread, person, me, selected }: RowProps): ReactElement {
  const name = person?.name ?? "Somebody unknown";
  const { last, unread } = thread;
  return (
    <Link
      to={{ at: "chats", account: thread.account }}
      className={styles.thread}
      data-testid={`thread-${name}`}
      aria-current={selected ? "page" : undefined}
    >
      <Avatar person={{ account: thread.account, name, online: person?.online ?? false }} />
      <span className={styles.threadText}>
        <strong>
          <Isolated text={name} />
          {thread.account === me ? " (you)" : ""}
        </strong>
        {last ? <span dir="auto">{preview(last, me)}</span> : null}
      </span>
      <span className={styles.threadSide}>
        {last ? <time title={clockTime(last.time)}>{listTime(last.time, Date.now())}</time> : null}
        {unread > 0 ? (
          <span className={styles.badge}>
            {unread}
            <span className="visually-hidden"> new</span>
          </span>
        ) : null}
      </span>
    </Link>
  );
}

function preview(letter: Letter, me: AccountId): string {
  const text = letter.text.replace(/\s+/g, " ").slice(0, 120);
  if (letter.state.is === "held") return `Not sent: ${text}`;
  return letter.from === me && letter.thread !== me ? `You: ${text}` : text;
}
