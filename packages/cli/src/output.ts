/** Bidirectional overrides and isolates: they let a text pretend to be another line of the screen. */
const bidirectional = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * A text from outside as it may meet a terminal: C0 controls become their pictures (U+2400…), other controls and
 * bidirectional overrides U+FFFD. Newline and tab stay.
 */
export function harmless(text: string): string {
  return text
    .replace(/\r\n?|[\u2028\u2029]/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (control) =>
      String.fromCharCode(0x2400 + control.charCodeAt(0)),
    )
    .replace(/[\u007f-\u009f]/g, "\ufffd")
    .replace(bidirectional, "\ufffd");
}

/** {@link harmless}, and on one line. */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/\s+/g, " ").trim();
}

/** Where a command writes: data on stdout, everything else on stderr. */
export interface Output {
  /** One result: `record` as a JSON line under --json, else `lines`, made harmless. Resolves once it has left. */
  data(record: object, lines: string): Promise<void>;
  /** A remark for the person. */
  say(line: string): void;
}

export function createOutput(of: { readonly json: boolean }): Output {
  return {
    data: (record, lines) => write(of.json ? jsonLine(record) : `${harmless(lines)}\n`),
    say: (line) => {
      process.stderr.write(`${harmless(line)}\n`);
    },
  };
}

/** JSON keeps a text exactly, so what JSON leaves unescaped and a terminal obeys is escaped too. */
function jsonLine(record: object): string {
  const escaped = (character: string): string =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(record)
    .replace(/[\u007f-\u009f\u2028\u2029]/g, escaped)
    .replace(bidirectional, escaped)}\n`;
}

function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
