/** The few colours of the terminal client. Green is for "verified" alone. */
export type Paint = (tone: "accent" | "verified" | "loud") => { readonly color?: string };

/** `NO_COLOR` leaves weight and words: nothing is said by colour alone (no-color.org). */
export function createPaint(of: { readonly color: boolean }): Paint {
  if (!of.color) return () => ({});
  const colors = { accent: "#818cf8", verified: "green", loud: "red" } as const;
  return (tone) => ({ color: colors[tone] });
}
