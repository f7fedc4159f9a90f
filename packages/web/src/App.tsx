import { type ReactElement, useState, useSyncExternalStore } from "react";
import { ClientContext, JoinedContext, useClientState } from "./client.tsx";
import { currentSession, subscribeSession } from "./engine/session.ts";
import { Elsewhere, Ended, Failed, NoStorage, Starting, Unsupported } from "./screens/Doorstep.tsx";
import { Frame } from "./screens/Frame.tsx";
import { Join } from "./screens/Join.tsx";
import { NeedsLink } from "./screens/NeedsLink.tsx";

/** `link` is the invite that the page was opened by, already out of the address bar. */
export function App({ link }: { readonly link: string | null }): ReactElement {
  const session = useSyncExternalStore(subscribeSession, currentSession);
  switch (session.is) {
    case "starting":
      return <Starting />;
    case "unsupported":
      return <Unsupported lacks={session.lacks} />;
    case "no-storage":
      return <NoStorage />;
    case "elsewhere":
      return <Elsewhere />;
    case "failed":
      return <Failed why={session.why} />;
    case "open":
      return (
        <ClientContext value={session.client}>
          <Inside link={link} />
        </ClientContext>
      );
  }
}

function Inside({ link }: { readonly link: string | null }): ReactElement {
  const state = useClientState();
  const [spareLink] = useState(link !== null && state.phase === "joined");
  // Joining ends when the person has kept the recovery code, not when the account exists.
  const [joining, setJoining] = useState(state.phase === "new" ? link : null);
  if (joining !== null && state.phase !== "ended") {
    return <Join link={joining} onDone={() => setJoining(null)} />;
  }
  switch (state.phase) {
    case "new":
      return <NeedsLink onLink={setJoining} />;
    case "ended":
      return <Ended why={state.why} />;
    case "joined":
      return (
        <JoinedContext value={state}>
          <Frame spareLink={spareLink} />
        </JoinedContext>
      );
  }
}
