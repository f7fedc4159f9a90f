import type { ButtonHTMLAttributes, ReactElement, ReactNode } from "react";
import styles from "./button.module.css";

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  readonly look?: "main" | "plain" | "danger";
  /** Shown as at work, and not to be pressed twice. */
  readonly busy?: boolean;
};

export function Button({ look = "plain", busy = false, disabled, children, ...rest }: Props): ReactElement {
  return (
    <button
      type="button"
      {...rest}
      className={`${styles.button} ${styles[look]}`}
      disabled={disabled || busy}
      aria-busy={busy}
    >
      {children}
    </button>
  );
}

type IconProps = ButtonHTMLAttributes<HTMLButtonElement> & {
  /** What it does, in words: an icon alone says nothing to a screen reader. */
  readonly label: string;
  readonly children: ReactNode;
};

export function IconButton({ label, children, ...rest }: IconProps): ReactElement {
  return (
    <button type="button" {...rest} className={styles.icon} aria-label={label} title={label}>
      {children}
    </button>
  );
}
