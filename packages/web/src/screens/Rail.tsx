import { type LucideIcon, MessageSquare, Settings, SquarePlay, Users } from "lucide-react";
import type { ReactElement } from "react";
import { Link, type Route } from "../navigation.tsx";
import { Mark } from "../parts/Mark.tsx";
import styles from "./frame.module.css";

const places: readonly { to: Route; name: string; Icon: LucideIcon }[] = [
  { to: { at: "chats", account: null }, name: "Chats", Icon: MessageSquare },
  { to: { at: "watch", title: null }, name: "Watch", Icon: SquarePlay },
  { to: { at: "people" }, name: "People", Icon: Users },
  { to: { at: "settings" }, name: "Settings", Icon: Settings },
];

interface Props {
  readonly at: Route["at"];
  readonly unread: number;
}

/** The four rooms: at the side when wide, under the thumb on a phone. */
export function Rail({ at, unread }: Props): ReactElement {
  return (
    <nav className={styles.rail} aria-label="Rooms">
      <span className={styles.mark}>
        <Mark />
      </span>
      {places.map(({ to, name, Icon }) => (
        <Link
          key={to.at}
          to={to}
          className={styles.place}
          data-testid={`nav-${to.at}`}
          aria-current={at === to.at ? "page" : undefined}
        >
          <Icon size={20} strokeWidth={1.8} aria-hidden="true" />
          {name}
          {to.at === "chats" && unread > 0 ? (
            <span className={styles.unread}>
              {unread}
              <span className="visually-hidden"> new</span>
            </span>
          ) : null}
        </Link>
      ))}
    </nav>
  );
}
