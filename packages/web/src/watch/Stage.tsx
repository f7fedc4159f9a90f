import type { TitleDetail } from "@snug/protocol";
import { Play } from "lucide-react";
import {
  createElement,
  type MouseEvent,
  type ReactElement,
  type ReactNode,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useClient, useJoined } from "../client.tsx";
import { Controls } from "./Controls.tsx";
import { commandsFor, obeyKey } from "./commands.ts";
import {
  firstPlayback,
  loadPlayer,
  openPlayback,
  type Playback,
  type PlaybackState,
  unreachable,
} from "./playback.ts";
import styles from "./theatre.module.css";
import { useVideo, type VideoState } from "./useVideo.ts";

/** Controls go this long after the last movement. In ms. */
const rest = 3000;

interface Props {
  readonly detail: TitleDetail;
  readonly top: ReactNode;
  /** What fills the screen when that is asked for: the stage, and what must be seen beside it. */
  readonly room: HTMLElement | null;
}

export function Stage({ detail, top, room }: Props): ReactElement {
  const [stage, setStage] = useState<HTMLDivElement | null>(null);
  const [element, setElement] = useState<HTMLVideoElement | null>(null);
  const video = useVideo(element);
  const { state, playback } = usePlayback(element, detail);
  const commands = useMemo(() => (element && room ? commandsFor(element, room) : null), [element, room]);
  const offline = useJoined().connection.is === "offline";
  const failure = state.failure ?? (offline && video.waiting ? unreachable : null);
  const awake = useAwake(stage) || video.paused || failure !== null;

  // A finger on a picture without controls asks for them; what lies invisibly under it is not meant.
  const asleep = useRef(false);
  const onPointerDown = (): void => {
    asleep.current = !awake;
  };
  const onClick = (event: MouseEvent): void => {
    const { nativeEvent } = event;
    if (!asleep.current || !(nativeEvent instanceof PointerEvent) || nativeEvent.pointerType !== "touch")
      return;
    event.preventDefault();
    event.stopPropagation();
  };

  useEffect(() => {
    if (!commands) return;
    const onKey = (event: KeyboardEvent): void => {
      // An open menu has the keys.
      if (event.defaultPrevented || document.querySelector("[role=menu]")) return;
      if (obeyKey(event, commands, video.duration)) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [commands, video.duration]);

  return (
    <div
      ref={setStage}
      className={styles.stage}
      data-awake={awake}
      data-testid="player"
      onPointerDownCapture={onPointerDown}
      onClickCapture={onClick}
    >
      {/* Without JSX, whose checker wants captions: the library has no text tracks yet. */}
      {createElement("video", {
        ref: setElement,
        className: styles.video,
        "data-testid": "video",
        playsInline: true,
        "aria-label": detail.title.name,
        onClick: () => commands?.togglePlay(),
        onDoubleClick: () => commands?.toggleFullScreen(),
      })}
      <Middle video={video} failure={failure} onPlay={() => commands?.togglePlay()} />
      <div className={styles.above}>{top}</div>
      <div className={styles.below}>
        {commands && stage ? (
          <Controls video={video} state={state} playback={playback} commands={commands} stage={stage} />
        ) : null}
      </div>
    </div>
  );
}

interface MiddleProps {
  readonly video: VideoState;
  readonly failure: string | null;
  readonly onPlay: () => void;
}

/** What stands over the picture: why there is none, that it comes, or that it waits for a hand. */
function Middle({ video, failure, onPlay }: MiddleProps): ReactElement | null {
  if (failure) {
    return (
      <div className={styles.problem} role="alert" data-testid="player-error">
        <p>{failure}</p>
      </div>
    );
  }
  if (video.waiting && !(video.paused && video.time > 0)) {
    return (
      <div className={styles.waiting} role="status" data-testid="player-waiting">
        <span className="visually-hidden">The film is loading</span>
      </div>
    );
  }
  return video.paused && video.time === 0 ? (
    <button type="button" className={styles.start} aria-label="Play" onClick={onPlay}>
      <Play size={26} fill="currentColor" aria-hidden="true" />
    </button>
  ) : null;
}

interface OpenPlayback {
  readonly state: PlaybackState;
  readonly playback: Playback | null;
}

function usePlayback(video: HTMLVideoElement | null, detail: TitleDetail): OpenPlayback {
  const client = useClient();
  const [state, setState] = useState(firstPlayback);
  const [playback, setPlayback] = useState<Playback | null>(null);
  useEffect(() => {
    if (!video) return;
    let gone = false;
    let opened: Playback | undefined;
    const open = async (): Promise<void> => {
      const Player = await loadPlayer();
      if (gone) return;
      opened = openPlayback(Player, {
        video,
        detail,
        renew: () => client.openMedia(),
        onChange: (change) => setState((before) => ({ ...before, ...change })),
      });
      setPlayback(opened);
      // Browsers refuse to start with sound on a page that nobody has touched: then it waits for a hand.
      video.play().catch(() => video.pause());
    };
    void open();
    return () => {
      gone = true;
      opened?.close();
      setPlayback(null);
      setState(firstPlayback);
    };
  }, [client, video, detail]);
  return { state, playback };
}

/** True while somebody moves, types or touches, and for a moment after. */
function useAwake(stage: HTMLElement | null): boolean {
  const [awake, setAwake] = useState(true);
  useEffect(() => {
    if (!stage) return;
    let timer: ReturnType<typeof setTimeout>;
    const wake = (): void => {
      setAwake(true);
      clearTimeout(timer);
      timer = setTimeout(() => setAwake(false), rest);
    };
    wake();
    const events = ["pointermove", "pointerdown", "keydown", "focusin"] as const;
    for (const event of events) stage.addEventListener(event, wake);
    addEventListener("keydown", wake);
    return () => {
      clearTimeout(timer);
      for (const event of events) stage.removeEventListener(event, wake);
      removeEventListener("keydown", wake);
    };
  }, [stage]);
  return awake;
}
