/** What a person can do to a playing film, by button or key. */
export interface Commands {
  togglePlay(): void;
  /** By seconds, forward or back. */
  skip(seconds: number): void;
  /** To a time in seconds. */
  seek(seconds: number): void;
  setVolume(volume: number): void;
  toggleMute(): void;
  toggleFullScreen(): void;
}

/** `room` is what fills the screen on demand. */
export function commandsFor(video: HTMLVideoElement, room: HTMLElement): Commands {
  const seek = (seconds: number): void => {
    const end = Number.isFinite(video.duration) ? video.duration : 0;
    video.currentTime = Math.min(Math.max(0, seconds), end);
  };
  return {
    togglePlay: () => {
      // Rejects when a pause comes before the first picture; the element's events tell the rest.
      if (video.paused) video.play().catch(() => video.pause());
      else video.pause();
    },
    skip: (seconds) => seek(video.currentTime + seconds),
    seek,
    setVolume: (volume) => {
      video.volume = volume;
      video.muted = volume === 0;
    },
    toggleMute: () => {
      video.muted = !video.muted;
    },
    toggleFullScreen: () => {
      const change = document.fullscreenElement ? document.exitFullscreen() : room.requestFullscreen();
      // Refused without a fresh gesture: it stays as it is.
      change.catch(() => undefined);
    },
  };
}

/** Does what a key means; false when it means nothing here. */
export function obeyKey(event: KeyboardEvent, commands: Commands, duration: number): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const { target } = event;
  const onButton = target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement;
  const onVolume = target instanceof HTMLInputElement && target.dataset.keys === "own";
  if (onVolume && event.key.startsWith("Arrow")) return false;
  if (/^[0-9]$/.test(event.key)) {
    commands.seek((Number(event.key) / 10) * duration);
    return true;
  }
  switch (event.key) {
    case " ":
      if (onButton) return false;
      commands.togglePlay();
      return true;
    case "k":
      commands.togglePlay();
      return true;
    case "ArrowLeft":
      commands.skip(-5);
      return true;
    case "ArrowRight":
      commands.skip(5);
      return true;
    case "j":
      commands.skip(-10);
      return true;
    case "l":
      commands.skip(10);
      return true;
    case "Home":
      commands.seek(0);
      return true;
    case "End":
      commands.seek(duration);
      return true;
    case "m":
      commands.toggleMute();
      return true;
    case "f":
      commands.toggleFullScreen();
      return true;
    default:
      return false;
  }
}
