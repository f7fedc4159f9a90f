import {
  ChevronsLeft,
  ChevronsRight,
  Maximize,
  Minimize,
  Pause,
  Play,
  RotateCcw,
  Volume2,
  VolumeX,
} from "lucide-react";
import { type CSSProperties, type ReactElement, useEffect, useState } from "react";
import { position } from "../wording.ts";
import type { Commands } from "./commands.ts";
import styles from "./controls.module.css";
import type { Playback, PlaybackState } from "./playback.ts";
import { QualityMenu } from "./QualityMenu.tsx";
import { SeekBar } from "./SeekBar.tsx";
import type { VideoState } from "./useVideo.ts";

interface Props {
  readonly video: VideoState;
  readonly state: PlaybackState;
  readonly playback: Playback | null;
  readonly commands: Commands;
  readonly stage: HTMLElement;
}

export function Controls({ video, state, playback, commands, stage }: Props): ReactElement {
  return (
    <div className={styles.controls}>
      <SeekBar video={video} onSeek={commands.seek} />
      <div className={styles.row}>
        <Control label="Back ten seconds" onPress={() => commands.skip(-10)}>
          <ChevronsLeft size={24} aria-hidden="true" />
        </Control>
        <PlayControl video={video} commands={commands} />
        <Control label="On ten seconds" onPress={() => commands.skip(10)}>
          <ChevronsRight size={24} aria-hidden="true" />
        </Control>
        <span className={styles.time} data-testid="player-time">
          {position(video.ended ? Math.round(video.duration) : video.time)}
          <span className={styles.wide}> / {position(Math.round(video.duration))}</span>
        </span>
        <span className={styles.gap} />
        <QualityMenu state={state} playback={playback} container={stage} />
        <Volume video={video} commands={commands} />
        {document.fullscreenEnabled ? <FullScreen commands={commands} /> : null}
      </div>
    </div>
  );
}

function PlayControl({
  video,
  commands,
}: {
  readonly video: VideoState;
  readonly commands: Commands;
}): ReactElement {
  const label = video.ended ? "Play again" : video.paused ? "Play" : "Pause";
  const Icon = video.ended ? RotateCcw : video.paused ? Play : Pause;
  return (
    <Control label={label} testId="player-play" onPress={commands.togglePlay}>
      <Icon size={24} aria-hidden="true" />
    </Control>
  );
}

function Volume({
  video,
  commands,
}: {
  readonly video: VideoState;
  readonly commands: Commands;
}): ReactElement {
  const silent = video.muted || video.volume === 0;
  const loudness = silent ? 0 : video.volume;
  return (
    <span className={styles.volume}>
      <Control label={silent ? "Sound on" : "Sound off"} testId="player-mute" onPress={commands.toggleMute}>
        {silent ? <VolumeX size={24} aria-hidden="true" /> : <Volume2 size={24} aria-hidden="true" />}
      </Control>
      <input
        className={styles.loudness}
        data-keys="own"
        type="range"
        min={0}
        max={1}
        step={0.05}
        value={loudness}
        onChange={(event) => commands.setVolume(Number(event.target.value))}
        aria-label="Volume"
        aria-valuetext={`${Math.round(loudness * 100)} %`}
        style={{ "--played": `${loudness * 100}%`, "--loaded": "0%" } as CSSProperties}
      />
    </span>
  );
}

function FullScreen({ commands }: { readonly commands: Commands }): ReactElement {
  const [full, setFull] = useState(document.fullscreenElement !== null);
  useEffect(() => {
    const read = (): void => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", read);
    return () => document.removeEventListener("fullscreenchange", read);
  }, []);
  return (
    <Control label={full ? "Leave full screen" : "Full screen"} onPress={commands.toggleFullScreen}>
      {full ? <Minimize size={24} aria-hidden="true" /> : <Maximize size={24} aria-hidden="true" />}
    </Control>
  );
}

interface ControlProps {
  readonly label: string;
  readonly testId?: string;
  readonly onPress: () => void;
  readonly children: ReactElement;
}

function Control({ label, testId, onPress, children }: ControlProps): ReactElement {
  return (
    <button
      type="button"
      className={styles.control}
      data-testid={testId}
      aria-label={label}
      title={label}
      onClick={onPress}
    >
      {children}
    </button>
  );
}
