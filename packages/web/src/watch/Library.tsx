import type { TitleView } from "@snug/protocol";
import { Clapperboard, Play } from "lucide-react";
import { type ReactElement, type ReactNode, useEffect, useState } from "react";
import { useClient, useJoined } from "../client.tsx";
import { Link } from "../navigation.tsx";
import { Empty } from "../parts/Empty.tsx";
import page from "../screens/page.module.css";
import { describe } from "./describe.ts";
import styles from "./library.module.css";
import { loadPlayer } from "./playback.ts";

export function Library(): ReactElement {
  const { library } = useJoined();
  const withPictures = usePictures();
  useEffect(() => void loadPlayer(), []);
  return (
    <main className={`${page.page} ${styles.library}`}>
      <header className={page.head}>
        <div>
          <h1 className={page.title}>Watch</h1>
          <p className={page.below}>
            {library ? summary(library.titles.length) : "Looking into the library"}
          </p>
        </div>
      </header>
      {library === null ? <Skeletons /> : null}
      {library?.titles.length === 0 ? (
        <Empty
          icon={<Clapperboard size={24} />}
          title="No videos yet"
          text="Put video files into the server’s videos folder. They appear here by themselves."
        />
      ) : null}
      <ul className={styles.grid}>
        {library?.titles.map((title) => (
          <li key={title.id}>
            <Card title={title} withPicture={withPictures} />
          </li>
        ))}
      </ul>
    </main>
  );
}

function summary(titles: number): string {
  if (titles === 0) return "Nothing in the library yet";
  return `${titles === 1 ? "One title" : `${titles} titles`} in the library · the server can read these`;
}

/** Stills need the cookie; until it is there, places stay grey. */
function usePictures(): boolean {
  const client = useClient();
  const online = useJoined().connection.is === "online";
  const [ready, setReady] = useState(false);
  useEffect(() => {
    if (!online) return;
    client.openMedia().then(
      () => setReady(true),
      () => setReady(false),
    );
  }, [client, online]);
  return ready;
}

interface CardProps {
  readonly title: TitleView;
  readonly withPicture: boolean;
}

function Card({ title, withPicture }: CardProps): ReactElement {
  const picture = (
    <Still title={title} visible={withPicture}>
      {title.state === "playable" ? (
        <span className={styles.play}>
          <Play size={20} fill="currentColor" aria-hidden="true" />
        </span>
      ) : (
        <span className={styles.state}>
          {title.state === "preparing" ? "Being prepared" : "Can’t be played"}
        </span>
      )}
    </Still>
  );
  const text = (
    <>
      <strong dir="auto">{title.name}</strong>
      <span>{line(title)}</span>
      {title.notes.map((note) => (
        <span key={note} className={styles.note} dir="auto">
          {note}
        </span>
      ))}
    </>
  );
  const testId = `title-${title.name}`;
  return title.state === "playable" ? (
    <Link
      to={{ at: "watch", title: title.id }}
      className={styles.card}
      data-testid={testId}
      data-state={title.state}
    >
      {picture}
      {text}
    </Link>
  ) : (
    <div className={styles.card} data-testid={testId} data-state={title.state}>
      {picture}
      {text}
    </div>
  );
}

function line(title: TitleView): string {
  switch (title.state) {
    case "playable":
      return describe(title);
    case "preparing":
      return title.reason ?? "The server is reading it";
    case "unplayable":
      return title.reason ?? "The server could not read it";
  }
}

interface StillProps {
  readonly title: TitleView;
  readonly visible: boolean;
  readonly children: ReactNode;
}

function Still({ title, visible, children }: StillProps): ReactElement {
  const [failed, setFailed] = useState(false);
  return (
    <span className={styles.still} data-state={title.state}>
      {visible && title.still && !failed ? (
        <img
          src={`/m/me/${title.id}/${title.version}/still.jpg`}
          alt=""
          loading="lazy"
          decoding="async"
          onError={() => setFailed(true)}
        />
      ) : null}
      {children}
    </span>
  );
}

function Skeletons(): ReactElement {
  return (
    <div className={styles.grid} role="status" aria-label="The library is being read">
      {["a", "b", "c", "d"].map((key) => (
        <span key={key} className={styles.card}>
          <span className={styles.still} data-state="preparing" />
          <span className={styles.bar} />
        </span>
      ))}
    </div>
  );
}
