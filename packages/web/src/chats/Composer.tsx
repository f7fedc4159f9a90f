import type { Person } from "@snug/client";
import { type AccountId, limits } from "@snug/protocol";
import { ArrowRight } from "lucide-react";
import { type KeyboardEvent, type ReactElement, useEffect, useLayoutEffect, useRef, useState } from "react";
import { inWords, useClient } from "../client.tsx";
import styles from "./composer.module.css";

/** What was begun and not sent, for as long as the page lives. */
const drafts = new Map<AccountId, string>();
const encoder = new TextEncoder();

export function Composer({ person }: { readonly person: Person }): ReactElement {
  const client = useClient();
  const [text, setText] = useState(drafts.get(person.account) ?? "");
  const [problem, setProblem] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const tooLong = sizeProblem(text);
  const ready = text.trim() !== "" && tooLong === "";

  const change = (next: string): void => {
    drafts.set(person.account, next);
    setText(next);
    setProblem("");
  };
  const send = async (): Promise<void> => {
    if (!ready) return;
    const letter = text.replace(/\r\n?/g, "\n").trim();
    change("");
    field.current?.focus();
    try {
      await client.send(person.account, letter);
    } catch (error) {
      // Back into the field, unless its writer has gone on.
      setText((now) => now || letter);
      setProblem(inWords(error));
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  useLayoutEffect(() => fit(field.current, text), [text]);
  useEffect(() => {
    // On a touch screen this would throw the keyboard over what is to be read.
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);
  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <p id="composer-problem" className={styles.problem} role="alert">
        {tooLong || problem}
      </p>
      <div className={styles.row}>
        <textarea
          ref={field}
          className={styles.field}
          data-testid="composer"
          rows={1}
          dir="auto"
          value={text}
          onChange={(event) => change(event.target.value)}
          onKeyDown={onKeyDown}
          placeholder={`Letter to ${person.name}`}
          aria-label={`Letter to ${person.name}`}
          aria-invalid={tooLong !== ""}
          aria-describedby="composer-problem"
          enterKeyHint="send"
        />
        <button type="submit" className={styles.send} data-testid="send" aria-label="Send" disabled={!ready}>
          <ArrowRight size={20} aria-hidden="true" />
        </button>
      </div>
    </form>
  );
}

function sizeProblem(text: string): string {
  // A code unit takes a byte at least and three at most: most texts need no count.
  if (text.length * 3 <= limits.text) return "";
  const bytes = encoder.encode(text).length;
  if (bytes <= limits.text) return "";
  const kib = (bytes / 1024).toFixed(1);
  return `This is ${kib} KiB; a letter holds ${limits.text / 1024} KiB. Shorten it or send it in parts.`;
}

/** As high as its lines, up to a third of the screen. */
function fit(field: HTMLTextAreaElement | null, text: string): void {
  if (!field) return;
  field.style.height = "auto";
  if (text !== "") field.style.height = `${field.scrollHeight + 2}px`;
}
