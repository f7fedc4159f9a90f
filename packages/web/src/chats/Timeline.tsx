import { awaitsLook, type Letter, type Person } from "@snug/client";
import { type ReactElement, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { Virtualizer } from "virtua";
import { Isolated } from "../parts/Isolated.tsx";
import { dayName } from "../wording.ts";
import { Bubble } from "./Bubble.tsx";
import { type Entry, entriesOf, firstUnread } from "./entries.ts";
import styles from "./timeline.module.css";
import { useLetters } from "./useLetters.ts";

/** Nearer to the end than this, the view stays at the end when a letter comes. In px. */
const stickiness = 48;
/** Nearer to the start than this, older letters are fetched. In px. */
const foresight = 600;

interface Props {
  readonly person: Person;
  readonly me: Person["account"];
  /** Unread letters when the conversation was opened. */
  readonly unread: number;
  readonly onReview: () => void;
}

export function Timeline({ person, me, unread, onReview }: Props): ReactElement {
  const { letters, complete, prepended, loadOlder } = useLetters(person.account);
  const [firstNew, setFirstNew] = useState<number | null | undefined>(undefined);
  if (letters && firstNew === undefined) setFirstNew(firstUnread(letters, unread));
  const entries = useMemo(
    () => entriesOf({ letters: letters ?? [], complete, firstNew: firstNew ?? null }),
    [letters, complete, firstNew],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  /** Where the view was at its last scroll, in px. */
  const last = useRef({ top: 0, height: 0 });
  const newest = letters?.at(-1);
  const [seenNewest, setSeenNewest] = useState<Letter | undefined>(undefined);

  // One's own letter always brings the view to the end; another's only when it was there.
  if (newest && newest.order !== seenNewest?.order) {
    if (newest.from === me) sticks.current = true;
    setSeenNewest(newest);
  }
  useStayAtEnd(scroller, sticks, letters !== null);

  const onScroll = (): void => {
    const view = scroller.current;
    if (!view) return;
    const { scrollTop: top, scrollHeight: height } = view;
    // What grows below takes nobody away from the end; only who goes up leaves it.
    const wentUp = top < last.current.top && height === last.current.height;
    if (height - top - view.clientHeight < stickiness) sticks.current = true;
    else if (wentUp) sticks.current = false;
    last.current = { top, height };
    if (top < foresight) loadOlder();
  };
  return (
    <section ref={scroller} className={styles.timeline} aria-label={`Letters with ${person.name}`}>
      <div className={styles.spacer} />
      {letters ? (
        <Virtualizer scrollRef={scroller} shift={prepended} onScroll={onScroll}>
          {entries.map((entry) => (
            <div key={entry.key} className={styles.entry}>
              <EntryView entry={entry} person={person} me={me} onReview={onReview} />
            </div>
          ))}
        </Virtualizer>
      ) : (
        <Waiting />
      )}
    </section>
  );
}

/** Letters come and are measured, the composer grows, a phone's keyboard opens: the end stays in view. */
function useStayAtEnd(
  scroller: RefObject<HTMLDivElement | null>,
  sticks: RefObject<boolean>,
  loaded: boolean,
): void {
  useEffect(() => {
    const view = scroller.current;
    if (!view) return;
    // Scrolled by keyboard too; browsers that don't focus scrollers by themselves need the word.
    view.tabIndex = 0;
    const observer = new ResizeObserver(() => {
      if (sticks.current) view.scrollTop = view.scrollHeight;
    });
    observer.observe(view);
    const { lastElementChild: list } = view;
    if (loaded && list) observer.observe(list);
    return () => observer.disconnect();
  }, [scroller, sticks, loaded]);
}

interface EntryProps {
  readonly entry: Entry;
  readonly person: Person;
  readonly me: Person["account"];
  readonly onReview: () => void;
}

function EntryView({ entry, person, me, onReview }: EntryProps): ReactElement {
  switch (entry.is) {
    case "opening":
      return <Opening person={person} />;
    case "day":
      return <p className={styles.day}>{dayName(entry.time, Date.now())}</p>;
    case "new":
      return (
        <p className={styles.new}>
          <span>New</span>
        </p>
      );
    case "gap":
      return (
        <p className={styles.gap} data-testid="gap">
          A letter that <Isolated text={person.name} /> sent before this one has not arrived.
        </p>
      );
    case "letter":
      return (
        <Bubble letter={entry.letter} follows={entry.follows} me={me} person={person} onReview={onReview} />
      );
  }
}

function Opening({ person }: { readonly person: Person }): ReactElement {
  return <p className={styles.opening}>{openingWords(person)}</p>;
}

function openingWords(person: Person): ReactElement {
  if (person.trust.how === "verified" && person.trust.by === "self") {
    return <>Letters to yourself: only you can read them.</>;
  }
  if (awaitsLook(person)) {
    return (
      <>
        These are letters: only you and whoever holds the keys shown for <Isolated text={person.name} /> can
        read them. Compare the safety number first.
      </>
    );
  }
  return (
    <>
      These are letters: only <Isolated text={person.name} /> and you can read them. They have no forward
      secrecy: whoever gets hold of the keys later could open letters caught today.
    </>
  );
}

function Waiting(): ReactElement {
  return (
    <div className={styles.waiting} role="status" aria-label="Letters are being read">
      <span />
      <span />
      <span />
    </div>
  );
}
