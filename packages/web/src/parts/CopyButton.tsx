import { Check, Copy } from "lucide-react";
import { type ReactElement, useState } from "react";
import { Button } from "./Button.tsx";

/** Copies a text and says so. Where the clipboard is refused, it says that too: the text stands beside it. */
export function CopyButton({ text, label }: { readonly text: string; readonly label: string }): ReactElement {
  const [done, setDone] = useState<"not yet" | "copied" | "refused">("not yet");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setDone("copied");
    } catch {
      setDone("refused");
    }
  };
  return (
    <Button onClick={() => void copy()}>
      {done === "copied" ? <Check size={18} aria-hidden="true" /> : <Copy size={18} aria-hidden="true" />}
      <span role="status">
        {done === "copied" ? "Copied" : done === "refused" ? "Select and copy it by hand" : label}
      </span>
    </Button>
  );
}
