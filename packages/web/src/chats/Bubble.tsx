import { awaitsLook, type Letter, type Person, senderEndWords } from "@snug/client";
import { Clock } from "lucide-react";
import { Fragment, type ReactElement, useMemo } from "react";
import { Isolated } from "../parts/Isolated.tsx";
import { clockTime } from "../wording.ts";
import { breakable } from "./breakable.ts";
import styles from "./timeline.module.css";

interface Props {
  readonly letter: Letter;
  readonly follows: boolean;
  readonly me: Person["account"];
  readonly person: Person;
  readonly onReview: () => void;
}

export function Bubble({ letter, follows, me, person, onReview }: Props): ReactElement {
  const own = letter.from === me;
  const end = senderEndWords(letter);
  return (
    <article data-testid="letter" data-state={letter.state.is}>
      <div className={styles.bubble} data-own={own} data-follows={follows} dir="auto">
        {/* A direction of its own, so that the letter's is told by the letter. */}
        <span className="visually-hidden" dir="auto">
          {own ? "You: " : `${person.name}: `}
        </span>
        <span className={styles.text} data-testid="letter-text">
          <Words text={letter.text} />
        </span>
        <span className={styles.meta}>
          <time dir="auto" dateTime={new Date(letter.time).toISOString()}>
            {clockTime(letter.time)}
          </time>
          <Progress state={letter.state} />
        </span>
      </div>
      {end ? (
        <p className={styles.end} data-own={own} data-testid="sender-end">
          {end}
        </p>
      ) : null}
      {letter.state.is === "held" ? (
        <p className={styles.held}>
          <span>
            Not sent: <Isolated text={letter.state.why} />
          </span>
          {awaitsLook(person) ? (
            <button type="button" onClick={onReview}>
              Look at the keys
            </button>
          ) : null}
        </p>
      ) : null}
    </article>
  );
}

/** The letter's text and nothing else, with places where an endless word may be broken. */
function Words({ text }: { readonly text: string }): ReactElement {
  const pieces = useMemo(() => breakable(text), [text]);
  return (
    <>
      {pieces.map((piece) => (
        <Fragment key={piece.from}>
          {piece.from > 0 ? <wbr /> : null}
          {piece.text}
        </Fragment>
      ))}
    </>
  );
}

/** How far one's own letter has come: as a sign for the eye, in words for the ear. */
function Progress({ state }: { readonly state: Letter["state"] }): ReactElement | null {
  switch (state.is) {
    case "queued":
      return (
        <>
          <Clock size={12} aria-hidden="true" /> waiting
        </>
      );
    case "accepted":
      return <Sign sign="✓" words="kept by the server" />;
    case "delivered":
      return <Sign sign="✓✓" words="delivered" />;
    default:
      return null;
  }
}

function Sign({ sign, words }: { readonly sign: string; readonly words: string }): ReactElement {
  return (
    <span title={words}>
      <span aria-hidden="true">{sign}</span>
      <span className="visually-hidden">{words}</span>
    </span>
  );
}
