/** Marks upon marks: each letter as high as a house. */
const storm = [..."Zalgo"]
  .map((letter) => letter + "\u0300\u0316\u0489\u0321\u0330\u0348\u035b\u0363\u0334\u0359".repeat(4))
  .join("");

/** Texts that are more than text to somebody careless, by what they try. */
export const hostileTexts: Readonly<Record<string, string>> = {
  image: `<img src="https://evil.invalid/x" onerror="alert(1)">`,
  script: `<script>alert(document.domain)</script>`,
  svg: `<svg onload=alert(1)><a href="javascript:alert(2)">x</a></svg>`,
  breakout: `"></title></textarea></style><iframe srcdoc="<script>alert(3)</script>">`,
  link: "javascript:alert(4)//https://evil.invalid",
  template: "{{constructor.constructor('alert(5)')()}} %s %n \\u003cb\\u003e",
  entity: "&lt;b&gt; &amp; &#x3c;script&#x3e;",
  override: "invoice\u202egnp.exe",
  isolate: "\u2066\u202e\u2067left open",
  arabic: "مرحبا (1) يا صديقي!",
  invisible: "a\u200b\u200d\u2060\u00adb\ufe0f",
  storm,
  emoji: "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪".repeat(6),
  wide: "﷽𒐫𒈙꧅".repeat(8),
  word: "W".repeat(300),
  lines: "one\n\n\n\ttwo\u2028three\u2029four",
  words: "Verified by safety number",
  escape: "\u001b[2J\u001b]8;;https://evil.invalid\u0007",
};

/** One word that fills a letter. */
export const giantWord: string = "W".repeat(65_536);
