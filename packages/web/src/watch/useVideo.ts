import { useEffect, useState } from "react";

/** A video element's own state, as far as controls show it. Times in seconds. */
export interface VideoState {
  readonly paused: boolean;
  readonly ended: boolean;
  /** Has nothing to show right now and waits. */
  readonly waiting: boolean;
  readonly time: number;
  readonly duration: number;
  /** End of what is loaded around the current time. */
  readonly loadedTo: number;
  readonly volume: number;
  readonly muted: boolean;
}

const events = [
  "play",
  "pause",
  "ended",
  "waiting",
  "playing",
  "seeking",
  "seeked",
  "canplay",
  "timeupdate",
  "durationchange",
  "progress",
  "volumechange",
  "emptied",
] as const;

export function useVideo(video: HTMLVideoElement | null): VideoState {
  const [state, setState] = useState<VideoState>(nothing);
  useEffect(() => {
    if (!video) return;
    const read = (): void => setState(stateOf(video));
    read();
    for (const event of events) video.addEventListener(event, read);
    return () => {
      for (const event of events) video.removeEventListener(event, read);
    };
  }, [video]);
  return state;
}

const nothing: VideoState = {
  paused: true,
  ended: false,
  waiting: true,
  time: 0,
  duration: 0,
  loadedTo: 0,
  volume: 1,
  muted: false,
};

function stateOf(video: HTMLVideoElement): VideoState {
  const { paused, ended, currentTime: time, duration, volume, muted, readyState, seeking } = video;
  return {
    paused,
    ended,
    waiting: seeking ? readyState < video.HAVE_CURRENT_DATA : readyState < video.HAVE_FUTURE_DATA && !ended,
    time,
    duration: Number.isFinite(duration) ? duration : 0,
    loadedTo: loadedTo(video.buffered, time),
    volume,
    muted,
  };
}

function loadedTo(buffered: TimeRanges, time: number): number {
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) <= time + 0.1 && time <= buffered.end(i)) return buffered.end(i);
  }
  return time;
}
