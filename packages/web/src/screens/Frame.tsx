import { type ReactElement, useEffect, useState } from "react";
import { Chats } from "../chats/Chats.tsx";
import { useClient, useJoined } from "../client.tsx";
import { navigate, useRoute } from "../navigation.tsx";
import { People } from "../people/People.tsx";
import { Library } from "../watch/Library.tsx";
import { Theatre } from "../watch/Theatre.tsx";
import { Banners } from "./Banners.tsx";
import styles from "./frame.module.css";
import { Rail } from "./Rail.tsx";
import { Settings } from "./Settings.tsx";

/** The rooms: rail or bottom bar, and one of them beside it. `spareLink`: the page was opened by an invite, needlessly. */
export function Frame({ spareLink }: { readonly spareLink: boolean }): ReactElement {
  const route = useRoute();
  const { threads } = useJoined();
  const [spare, setSpare] = useState(spareLink);
  const unread = threads.reduce((sum, thread) => sum + thread.unread, 0);

  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Snug` : "Snug";
  }, [unread]);
  useEffect(() => {
    if (route.at === "join" || location.pathname === "/") navigate({ at: "chats", account: null }, "replace");
  }, [route.at]);

  if (route.at === "watch" && route.title) {
    return (
      <>
        <Theatre key={route.title} id={route.title} />
        <Announcer />
      </>
    );
  }
  const inConversation = route.at === "chats" && route.account !== null;
  return (
    <div className={styles.frame} data-deep={inConversation}>
      <Rail at={route.at === "join" ? "chats" : route.at} unread={unread} />
      <div className={styles.room}>
        <Banners spareLink={spare} onSpareSeen={() => setSpare(false)} />
        {route.at === "watch" ? <Library /> : null}
        {route.at === "people" ? <People /> : null}
        {route.at === "settings" ? <Settings /> : null}
        {route.at === "chats" || route.at === "join" ? (
          <Chats account={route.at === "chats" ? route.account : null} />
        ) : null}
      </div>
      <Announcer />
    </div>
  );
}

/** Tells a screen reader of each letter that arrives, wherever in the app its reader is. */
function Announcer(): ReactElement {
  const client = useClient();
  const [text, setText] = useState("");
  useEffect(
    () =>
      client.onLetter((letter) => {
        const { state } = client;
        if (state.phase !== "joined" || letter.from === state.me.account) return;
        const from = state.people.find((person) => person.account === letter.from)?.name ?? "somebody";
        setText(`Letter from ${from}: ${letter.text}`);
      }),
    [client],
  );
  return (
    <div className="visually-hidden" aria-live="polite">
      {text}
    </div>
  );
}
