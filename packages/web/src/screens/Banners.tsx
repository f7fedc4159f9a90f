import { adviceOf, type Connection, type Notice, noticesBeside } from "@snug/client";
import { CloudOff, Info, TriangleAlert, X } from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import { inWords, useClient, useJoined } from "../client.tsx";
import { IconButton } from "../parts/Button.tsx";
import { Isolated } from "../parts/Isolated.tsx";
import styles from "./banners.module.css";

/** More notices than this wait behind a line that counts them. */
const shown = 3;

interface Props {
  readonly spareLink: boolean;
  readonly onSpareSeen: () => void;
}

/** What everybody must know above whatever they are doing: the connection, and notices until they are dismissed. */
export function Banners({ spareLink, onSpareSeen }: Props): ReactElement {
  const { connection, me, notices, server } = useJoined();
  return (
    <div className={styles.banners}>
      <ConnectionBanner connection={connection} />
      {spareLink ? (
        <Banner level="quiet" onDismiss={onSpareSeen}>
          You are in already, as <Isolated text={me.name} /> on <Isolated text={server.name} />. The link was
          not used.
        </Banner>
      ) : null}
      <Notices notices={noticesBeside(connection, notices)} />
    </div>
  );
}

/** Of these, what can't wait until a film has ended. Whether the server is reachable, the player tells itself. */
export function LoudBanners(): ReactElement {
  const { connection, notices } = useJoined();
  return (
    <div className={styles.banners}>
      {connection.is === "stopped" ? <ConnectionBanner connection={connection} /> : null}
      <Notices notices={noticesBeside(connection, notices).filter(({ level }) => level === "loud")} />
    </div>
  );
}

function Notices({ notices }: { readonly notices: readonly Notice[] }): ReactElement {
  const client = useClient();
  const loudFirst = notices.toSorted(
    (a, b) => Number(b.level === "loud") - Number(a.level === "loud") || b.id - a.id,
  );
  return (
    <>
      {loudFirst.slice(0, shown).map((notice) => (
        <Banner key={notice.id} level={notice.level} onDismiss={() => void client.dismissNotice(notice.id)}>
          {notice.text}
        </Banner>
      ))}
      {loudFirst.length > shown ? (
        <Banner level="quiet">{`And ${loudFirst.length - shown} more notices behind these.`}</Banner>
      ) : null}
    </>
  );
}

function ConnectionBanner({ connection }: { readonly connection: Connection }): ReactElement {
  return (
    <div role="status">
      {connection.is === "offline" && connection.byDisk ? (
        <p className={styles.banner} data-level="loud" data-testid="disk-full">
          <TriangleAlert size={18} aria-hidden="true" />
          <span>{inWords(connection.why)} Nothing is received until then.</span>
        </p>
      ) : null}
      {connection.is === "offline" && !connection.byDisk ? (
        <p className={styles.banner} data-level="quiet" data-testid="server-gone">
          <CloudOff size={18} aria-hidden="true" />
          <span>Server is not reachable. Your letters wait here and go out by themselves.</span>
        </p>
      ) : null}
      {connection.is === "stopped" ? (
        <div className={styles.banner} data-level="loud" data-testid="server-stopped" role="alert">
          <TriangleAlert size={18} aria-hidden="true" />
          <div className={styles.stopped}>
            <p>
              <strong>Snug has stopped talking to this server.</strong> {inWords(connection.why)}
            </p>
            <p>{adviceOf(connection)}</p>
          </div>
        </div>
      ) : null}
    </div>
  );
}

interface BannerProps {
  readonly level: "quiet" | "loud";
  readonly onDismiss?: () => void;
  readonly children: ReactNode;
}

function Banner({ level, onDismiss, children }: BannerProps): ReactElement {
  const Icon = level === "loud" ? TriangleAlert : Info;
  return (
    <div
      className={styles.banner}
      data-level={level}
      data-testid="notice"
      role={level === "loud" ? "alert" : "status"}
    >
      <Icon size={18} aria-hidden="true" />
      <span dir="auto">{children}</span>
      {onDismiss ? (
        <IconButton label="Dismiss" onClick={onDismiss}>
          <X size={18} aria-hidden="true" />
        </IconButton>
      ) : null}
    </div>
  );
}
