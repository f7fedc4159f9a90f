import type { Person } from "@snug/client";
import { ShieldCheck, UserPlus, Users } from "lucide-react";
import { type ReactElement, useState } from "react";
import { useJoined } from "../client.tsx";
import { Link } from "../navigation.tsx";
import { Avatar } from "../parts/Avatar.tsx";
import { Button, IconButton } from "../parts/Button.tsx";
import { Empty } from "../parts/Empty.tsx";
import { TrustLine } from "../parts/TrustLine.tsx";
import page from "../screens/page.module.css";
import { InviteSheet } from "./InviteSheet.tsx";
import { PersonSheet } from "./PersonSheet.tsx";
import styles from "./people.module.css";

export function People(): ReactElement {
  const { people, me } = useJoined();
  const [inviting, setInviting] = useState(false);
  const [looking, setLooking] = useState<Person["account"] | null>(null);
  const here = people.filter((person) => !person.removed).toSorted(byName(me.account));
  const others = here.filter((person) => person.account !== me.account);
  const looked = people.find((person) => person.account === looking);
  return (
    <main className={`${page.page} ${styles.people}`}>
      <header className={page.head}>
        <div>
          <h1 className={page.title}>People</h1>
          <p className={page.below}>{summary(others)}</p>
        </div>
        <Button look="main" data-testid="invite-make" onClick={() => setInviting(true)}>
          <UserPlus size={18} aria-hidden="true" />
          Invite
        </Button>
      </header>
      <ul className={styles.list}>
        {here.map((person) => (
          <li key={person.account} className={styles.row}>
            <PersonRow person={person} self={person.account === me.account} />
            {person.account === me.account ? null : (
              <IconButton
                label={`Safety number with ${person.name}`}
                data-testid={`safety-${person.name}`}
                onClick={() => setLooking(person.account)}
              >
                <ShieldCheck size={20} aria-hidden="true" />
              </IconButton>
            )}
          </li>
        ))}
      </ul>
      {others.length === 0 ? (
        <Empty
          icon={<Users size={24} />}
          title="You are the first here"
          text="Invite somebody by a link. Whoever opens it can write to you at once."
        />
      ) : null}
      <InviteSheet open={inviting} onClose={() => setInviting(false)} />
      {looked ? <PersonSheet person={looked} open onClose={() => setLooking(null)} /> : null}
    </main>
  );
}

function PersonRow({ person, self }: { readonly person: Person; readonly self: boolean }): ReactElement {
  return (
    <Link
      to={{ at: "chats", account: person.account }}
      className={styles.person}
      data-testid={`person-${person.name}`}
    >
      <Avatar person={person} />
      <span className={styles.text}>
        <strong dir="auto">{person.name}</strong>
        <span className={styles.line}>
          <TrustLine person={person} />
          {self ? null : <span>· {person.online ? "here now" : "away"}</span>}
          {person.role === "admin" ? <span>· looks after this server</span> : null}
        </span>
        {person.notice ? (
          <span className={styles.line} dir="auto">
            {person.notice}
          </span>
        ) : null}
      </span>
    </Link>
  );
}

function summary(others: readonly Person[]): string {
  if (others.length === 0) return "Only you";
  const here = others.filter((person) => person.online).length;
  const verified = others.filter((person) => person.trust.how === "verified").length;
  const known = verified === others.length ? "everyone verified" : `${verified} of ${others.length} verified`;
  return `${others.length + 1} people · ${here === 0 ? "nobody else here now" : `${here} here now`} · ${known}`;
}

function byName(me: Person["account"]): (a: Person, b: Person) => number {
  return (a, b) => {
    if ((a.account === me) !== (b.account === me)) return a.account === me ? 1 : -1;
    return a.name.localeCompare(b.name);
  };
}
