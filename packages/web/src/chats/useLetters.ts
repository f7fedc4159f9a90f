import type { Letter } from "@snug/client";
import type { AccountId } from "@snug/protocol";
import { useCallback, useEffect, useRef, useState } from "react";
import { useClient } from "../client.tsx";

/** Letters asked for at a time. */
const page = 60;

export interface Letters {
  /** Oldest first; null until the first answer. */
  readonly letters: readonly Letter[] | null;
  /** Whether these are all there are. */
  readonly complete: boolean;
  /** Whether the last change put older letters before the ones that were there. */
  readonly prepended: boolean;
  readonly loadOlder: () => void;
}

/** The newest letters of a thread, kept up to date with the client, and older ones as they are asked for. */
export function useLetters(thread: AccountId): Letters {
  const client = useClient();
  const [shown, setShown] = useState<Omit<Letters, "loadOlder">>({
    letters: null,
    complete: false,
    prepended: false,
  });
  const wanted = useRef(page);
  /** The order of the oldest on the page: what comes pushes none out, where somebody may be reading. 0 before the first. */
  const oldest = useRef(0);
  const running = useRef<"no" | "yes" | "again">("no");

  const read = useCallback(async (): Promise<void> => {
    if (running.current !== "no") {
      running.current = "again";
      return;
    }
    do {
      running.current = "yes";
      const found = await client.letters({ thread, most: wanted.current });
      const all = found.length < wanted.current;
      const [first] = found;
      if (!all && first && oldest.current > 0 && first.order > oldest.current) {
        wanted.current += page;
        running.current = "again";
        continue;
      }
      const letters = found.filter(({ order }) => order >= oldest.current);
      oldest.current = letters[0]?.order ?? 0;
      const complete = all && letters.length === found.length;
      setShown((before) => ({ letters, complete, prepended: grewInFront(before.letters, letters) }));
      // Cast: the control flow can't see that a call during the await changed it.
    } while ((running.current as string) === "again");
    running.current = "no";
  }, [client, thread]);

  useEffect(() => {
    void read();
    return client.subscribe(() => void read());
  }, [client, read]);

  const loadOlder = useCallback((): void => {
    if (shown.complete || running.current !== "no") return;
    wanted.current += page;
    oldest.current = 0;
    void read();
  }, [read, shown.complete]);
  return { ...shown, loadOlder };
}

function grewInFront(before: readonly Letter[] | null, after: readonly Letter[]): boolean {
  const [was] = before ?? [];
  const [is] = after;
  return was !== undefined && is !== undefined && is.order < was.order;
}
