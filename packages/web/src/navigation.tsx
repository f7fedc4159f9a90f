import type { AccountId, TitleId } from "@snug/protocol";
import { type AnchorHTMLAttributes, type MouseEvent, type ReactElement, useSyncExternalStore } from "react";

/** A place of the app; the server answers each with the same page. */
export type Route =
  | { readonly at: "chats"; readonly account: AccountId | null }
  | { readonly at: "watch"; readonly title: TitleId | null }
  | { readonly at: "people" }
  | { readonly at: "settings" }
  | { readonly at: "join" };

/** A path → its place; unknown ones lead to the chats. Ids are only compared with known ones, so their form is not checked. */
function routeOf(path: string): Route {
  const [, at, id] = path.split("/");
  switch (at) {
    case "watch":
      return { at, title: id ? (id as TitleId) : null };
    case "people":
    case "settings":
    case "join":
      return { at };
    default:
      return { at: "chats", account: at === "chats" && id ? (id as AccountId) : null };
  }
}

function pathOf(route: Route): string {
  switch (route.at) {
    case "chats":
      return route.account ? `/chats/${route.account}` : "/chats";
    case "watch":
      return route.title ? `/watch/${route.title}` : "/watch";
    default:
      return `/${route.at}`;
  }
}

const listeners = new Set<() => void>();

export function navigate(route: Route, how: "push" | "replace" = "push"): void {
  const path = pathOf(route);
  if (how === "replace") history.replaceState(null, "", path);
  else if (path !== location.pathname) history.pushState(null, "", path);
  for (const listener of listeners) listener();
}

export function useRoute(): Route {
  return routeOf(useSyncExternalStore(subscribe, () => location.pathname));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("popstate", listener);
  };
}

type LinkProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href" | "onClick"> & { readonly to: Route };

/** A real link (new tab, copy address) that a plain click follows without loading the page anew. */
export function Link({ to, ...rest }: LinkProps): ReactElement {
  const follow = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return <a {...rest} href={pathOf(to)} onClick={follow} />;
}

/**
 * Takes the invite out of the address bar, before anything else runs: it is a secret, and neither history nor a shared
 * screen should keep it. Returns the whole link, or null when the page was not opened by one.
 */
export function takeInviteLink(): string | null {
  if (!location.pathname.startsWith("/join") || location.hash.length < 2) return null;
  const link = location.href;
  history.replaceState(null, "", "/join");
  return link;
}
