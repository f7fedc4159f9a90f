import { Menu } from "@base-ui/react/menu";
import { Check } from "lucide-react";
import type { ReactElement } from "react";
import styles from "./controls.module.css";
import type { Playback, PlaybackState } from "./playback.ts";

interface Props {
  readonly state: PlaybackState;
  readonly playback: Playback | null;
  /** The menu opens inside of it: in full screen nothing outside is on screen. */
  readonly container: HTMLElement;
}

export function QualityMenu({ state, playback, container }: Props): ReactElement {
  const { qualities, showing, chosen, sounds, sound } = state;
  const name = showing?.name ?? "…";
  return (
    <Menu.Root>
      <Menu.Trigger
        className={styles.quality}
        data-testid="player-quality"
        aria-label={`Quality: ${chosen === null ? "Auto " : ""}${name}`}
      >
        {chosen === null ? <span className={styles.auto}>Auto </span> : null}
        {name}
      </Menu.Trigger>
      <Menu.Portal container={container}>
        <Menu.Positioner
          side="top"
          align="end"
          sideOffset={10}
          collisionPadding={12}
          className={styles.positioner}
        >
          <Menu.Popup className={styles.menu}>
            <Menu.Group>
              <Menu.GroupLabel className={styles.menuLabel}>Picture</Menu.GroupLabel>
              <Menu.RadioGroup
                value={chosen ?? -1}
                onValueChange={(value: number) => playback?.choose(value < 0 ? null : value)}
              >
                <Choice value={-1} name={chosen === null ? `Auto (${name})` : "Auto"} testId="quality-auto" />
                {qualities.toReversed().map((quality) => (
                  <Choice
                    key={quality.index}
                    value={quality.index}
                    name={quality.name}
                    testId={`quality-${quality.name}`}
                  />
                ))}
              </Menu.RadioGroup>
            </Menu.Group>
            {sounds.length > 1 ? (
              <Menu.Group>
                <Menu.GroupLabel className={styles.menuLabel}>Sound</Menu.GroupLabel>
                <Menu.RadioGroup
                  value={sound}
                  onValueChange={(value: number) => playback?.chooseSound(value)}
                >
                  {sounds.map(({ index, name: soundName }) => (
                    <Choice key={index} value={index} name={soundName} testId={`sound-${index}`} />
                  ))}
                </Menu.RadioGroup>
              </Menu.Group>
            ) : null}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

interface ChoiceProps {
  readonly value: number;
  readonly name: string;
  readonly testId: string;
}

function Choice({ value, name, testId }: ChoiceProps): ReactElement {
  return (
    <Menu.RadioItem value={value} className={styles.choice} data-testid={testId} closeOnClick>
      <span className={styles.tick}>
        <Menu.RadioItemIndicator>
          <Check size={16} aria-hidden="true" />
        </Menu.RadioItemIndicator>
      </span>
      {name}
    </Menu.RadioItem>
  );
}
