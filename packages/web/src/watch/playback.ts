import type { TitleDetail } from "@snug/protocol";
import type Hls from "hls.js";
import { masterPath, titleLoader } from "./titleLoader.ts";

/** One quality that can be chosen. `index` is the player's, lowest first. */
export interface Quality {
  readonly index: number;
  /** Height as people say it: 720p. */
  readonly name: string;
}

/** A choice of sound. */
export interface Sound {
  readonly index: number;
  readonly name: string;
}

/** What the player knows beside the video element itself. */
export interface PlaybackState {
  readonly qualities: readonly Quality[];
  /** Of the picture on screen; null before the first. */
  readonly showing: Quality | null;
  /** null: the player chooses by itself. */
  readonly chosen: number | null;
  readonly sounds: readonly Sound[];
  readonly sound: number;
  /** In words, when it can't go on. */
  readonly failure: string | null;
}

export interface Playback {
  choose(quality: number | null): void;
  chooseSound(sound: number): void;
  close(): void;
}

export const firstPlayback: PlaybackState = {
  qualities: [],
  showing: null,
  chosen: null,
  sounds: [],
  sound: -1,
  failure: null,
};

interface Needs {
  readonly video: HTMLVideoElement;
  readonly detail: TitleDetail;
  /** Makes the cookie fresh. */
  readonly renew: () => Promise<void>;
  readonly onChange: (change: Partial<PlaybackState>) => void;
}

/** Starts loading as soon as a film may be opened, so that a click waits for nothing but the film. */
export async function loadPlayer(): Promise<typeof Hls> {
  return (await import("hls.js")).default;
}

/** Said while nothing more comes and nobody has to do anything. */
export const unreachable = "The server is not reachable. The film goes on by itself when it is back.";

/** Retries after a broken connection, in ms: for as long as somebody has the film open. */
const retryAfter = 2000;
/** A second decoding fault within this time ends it. In ms. */
const faultsApart = 5000;

/** What the line carried in the last film of this page, in bits per second; null before the first. */
let carried: number | null = null;
/** A film begins with the best quality that fits into this part of it (DESIGN 13). */
const share = 0.7;

export function openPlayback(Player: typeof Hls, { video, detail, renew, onChange }: Needs): Playback {
  if (!Player.isSupported()) {
    onChange({ failure: "This browser has no way to play films in pieces (Media Source Extensions)." });
    return { choose: () => undefined, chooseSound: () => undefined, close: () => undefined };
  }
  const Loader = titleLoader(Player.DefaultConfig.loader as never, detail, renew);
  const hls = new Player({
    loader: Loader as never,
    enableWorker: false,
    startLevel: 0,
    testBandwidth: false,
    startFragPrefetch: true,
    maxBufferLength: 30,
    maxMaxBufferLength: 60,
    backBufferLength: 30,
  });
  watchLevels(Player, hls, onChange);
  rememberLine(Player, hls);
  const stopWatching = watchErrors(Player, hls, onChange);
  hls.loadSource(new URL(masterPath(detail.base), location.href).href);
  hls.attachMedia(video);
  return {
    choose: (quality) => {
      // What is buffered ahead in another quality is replaced; nobody who asks wants to wait half a minute.
      if (quality === null) hls.loadLevel = -1;
      else hls.nextLevel = quality;
      onChange({ chosen: quality });
    },
    chooseSound: (sound) => {
      hls.audioTrack = sound;
    },
    close: () => {
      stopWatching();
      hls.destroy();
    },
  };
}

/** An unknown line begins with the lowest quality, a known one with the best that it surely carries. */
function rememberLine(Player: typeof Hls, hls: Hls): void {
  const known = carried;
  if (known !== null) {
    hls.on(Player.Events.MANIFEST_PARSED, (_, { levels }) => {
      hls.startLevel = Math.max(
        0,
        levels.findLastIndex(({ bitrate }) => bitrate < known * share),
      );
    });
  }
  hls.on(Player.Events.FRAG_BUFFERED, () => {
    carried = hls.bandwidthEstimate;
  });
}

function watchLevels(Player: typeof Hls, hls: Hls, onChange: Needs["onChange"]): void {
  const quality = (index: number): Quality => {
    const level = hls.levels[index];
    return {
      index,
      name: level?.height ? `${level.height}p` : `${Math.round((level?.bitrate ?? 0) / 1000)} kbit/s`,
    };
  };
  hls.on(Player.Events.MANIFEST_PARSED, (_, { levels }) => {
    onChange({ qualities: levels.map((_level, index) => quality(index)) });
  });
  hls.on(Player.Events.LEVEL_SWITCHED, (_, { level }) => onChange({ showing: quality(level) }));
  hls.on(Player.Events.AUDIO_TRACKS_UPDATED, (_, { audioTracks }) => {
    onChange({ sounds: audioTracks.map(({ name }, index) => ({ index, name })) });
  });
  hls.on(Player.Events.AUDIO_TRACK_SWITCHED, (_, { id }) => onChange({ sound: id }));
  hls.on(Player.Events.FRAG_BUFFERED, () => onChange({ failure: null }));
}

/** Network faults pass by themselves, one decoding fault is forgiven, the rest is said. Returns the way to stop. */
function watchErrors(Player: typeof Hls, hls: Hls, onChange: Needs["onChange"]): () => void {
  let lastFault = Number.NEGATIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  hls.on(Player.Events.ERROR, (_, { fatal, type, details, reason }) => {
    if (!fatal) return;
    if (type === Player.ErrorTypes.NETWORK_ERROR && hls.levels.length > 0) {
      onChange({ failure: unreachable });
      clearTimeout(timer);
      timer = setTimeout(() => hls.startLoad(-1), retryAfter);
    } else if (type === Player.ErrorTypes.MEDIA_ERROR && performance.now() - lastFault > faultsApart) {
      lastFault = performance.now();
      hls.recoverMediaError();
    } else {
      onChange({ failure: `This film can’t be played here: ${reason ?? details}.` });
    }
  });
  return () => clearTimeout(timer);
}
