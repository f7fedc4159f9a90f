import { type Connection, NetworkError } from "@snug/client";
import { SnugError, type TitleDetail, type TitleId, type TitleView } from "@snug/protocol";
import { ChevronLeft } from "lucide-react";
import { type ReactElement, useCallback, useEffect, useState } from "react";
import { inWords, useClient, useJoined } from "../client.tsx";
import { Link } from "../navigation.tsx";
import { Button } from "../parts/Button.tsx";
import { LoudBanners } from "../screens/Banners.tsx";
import { describe } from "./describe.ts";
import { Stage } from "./Stage.tsx";
import styles from "./theatre.module.css";

type Film =
  | { readonly is: "opening" }
  | { readonly is: "open"; readonly detail: TitleDetail }
  /** `passes`: the server is only not ready yet, and is asked again. */
  | { readonly is: "closed"; readonly why: string; readonly passes: boolean };

/** A server that has just started reads its library first. In ms. */
const askAgain = 1500;

/** One title, as large as the screen allows. */
export function Theatre({ id }: { readonly id: TitleId }): ReactElement {
  const client = useClient();
  const { library, connection } = useJoined();
  const online = connection.is === "online";
  const [film, setFilm] = useState<Film>({ is: "opening" });
  const [room, setRoom] = useState<HTMLDivElement | null>(null);
  const title = film.is === "open" ? film.detail.title : library?.titles.find((one) => one.id === id);

  const open = useCallback(async (): Promise<void> => {
    setFilm({ is: "opening" });
    try {
      const [detail] = await Promise.all([client.title(id), client.openMedia()]);
      setFilm(filmOf(detail));
    } catch (error) {
      const passes =
        error instanceof NetworkError || (error instanceof SnugError && error.code === "unavailable");
      setFilm({ is: "closed", why: inWords(error), passes });
    }
  }, [client, id]);
  // Each return of the server is a try, until it is open; then the player goes on by itself over every break.
  const tries = online && film.is !== "open";
  useEffect(() => {
    if (tries) void open();
  }, [tries, open]);
  const passes = online && film.is === "closed" && film.passes;
  useEffect(() => {
    if (!passes) return;
    const timer = setTimeout(() => void open(), askAgain);
    return () => clearTimeout(timer);
  }, [passes, open]);

  return (
    <div ref={setRoom} className={styles.theatre}>
      <LoudBanners />
      {film.is === "open" ? (
        <Stage detail={film.detail} top={<Top title={title} />} room={room} />
      ) : (
        <div className={styles.stage}>
          <Top title={title} />
          <Closed film={film} connection={connection.is} onAgain={() => void open()} />
        </div>
      )}
      <section className={styles.about}>
        <h1 dir="auto">{title?.name ?? "Film"}</h1>
        {title ? <p>{describe(title)}</p> : null}
        <p>The server can read this video.</p>
        {title?.notes.map((note) => (
          <p key={note} dir="auto">
            {note}
          </p>
        ))}
      </section>
    </div>
  );
}

interface ClosedProps {
  readonly film: Exclude<Film, { readonly is: "open" }>;
  readonly connection: Connection["is"];
  readonly onAgain: () => void;
}

/** In the picture's place: that it is coming, or why it is not. */
function Closed({ film, connection, onAgain }: ClosedProps): ReactElement {
  if (film.is === "closed" || connection === "stopped") {
    const stopped = "Films can’t be opened while Snug has stopped talking to this server.";
    return (
      <div className={styles.problem} role="alert">
        <p>{film.is === "closed" ? film.why : stopped}</p>
        {connection === "stopped" ? null : <Button onClick={onAgain}>Try again</Button>}
      </div>
    );
  }
  const online = connection === "online";
  return (
    <div className={styles.waiting} role="status">
      <span className="visually-hidden">
        {online ? "The film is being opened" : "The server is not reachable; the film opens when it is back"}
      </span>
    </div>
  );
}

function filmOf(detail: TitleDetail): Film {
  if (detail.title.state === "playable") return { is: "open", detail };
  const why = detail.title.reason ?? "It is being prepared.";
  return { is: "closed", why: `This film can’t be played yet: ${why}`, passes: false };
}

function Top({ title }: { readonly title: TitleView | undefined }): ReactElement {
  return (
    <header className={styles.top}>
      <Link to={{ at: "watch", title: null }} className={styles.back} aria-label="Back to the library">
        <ChevronLeft size={22} aria-hidden="true" />
      </Link>
      <span className={styles.chip} dir="auto">
        {title?.name ?? "…"}
      </span>
      <span className={`${styles.chip} ${styles.readable}`}>The server can read this</span>
    </header>
  );
}
