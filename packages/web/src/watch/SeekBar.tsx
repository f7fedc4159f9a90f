import { type CSSProperties, type ReactElement, useEffect, useRef, useState } from "react";
import { position } from "../wording.ts";
import styles from "./controls.module.css";
import type { VideoState } from "./useVideo.ts";

interface Props {
  readonly video: VideoState;
  readonly onSeek: (seconds: number) => void;
}

/** A native range: hands, keys and screen readers know it. It seeks when the hand lets go. */
export function SeekBar({ video, onSeek }: Props): ReactElement {
  const { time, duration, loadedTo } = video;
  const [held, setHeld] = useState<number | null>(null);
  const bar = useRef<HTMLInputElement>(null);
  const at = held ?? time;
  useEffect(() => {
    const input = bar.current;
    if (!input) return;
    // React calls every move "change"; the element's own event is the end of the gesture.
    const settle = (): void => {
      onSeek(Number(input.value));
      setHeld(null);
    };
    input.addEventListener("change", settle);
    return () => input.removeEventListener("change", settle);
  }, [onSeek]);
  const share = (seconds: number): string => `${duration > 0 ? (seconds / duration) * 100 : 0}%`;
  return (
    <input
      ref={bar}
      className={styles.seek}
      data-testid="seek"
      type="range"
      min={0}
      max={duration || 1}
      step="any"
      value={at}
      onChange={(event) => setHeld(Number(event.target.value))}
      disabled={duration === 0}
      aria-label="Position"
      aria-valuetext={`${position(at)} of ${position(Math.round(duration))}`}
      style={{ "--played": share(at), "--loaded": share(Math.max(at, loadedTo)) } as CSSProperties}
    />
  );
}
