import axe from "axe-core";
import type { Page } from "playwright-core";
import { standsStill } from "./browser.ts";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** Serious and critical findings of axe on the page as it stands, in words. */
export async function findings(page: Page): Promise<string[]> {
  await standsStill(page);
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as { violations: Violation[] };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`),
    );
}

const looks = [
  { size: { width: 1280, height: 800 }, colorScheme: "light" },
  { size: { width: 1280, height: 800 }, colorScheme: "dark" },
  { size: { width: 390, height: 844 }, colorScheme: "light" },
  { size: { width: 390, height: 844 }, colorScheme: "dark" },
] as const;

/** The findings of all four looks, each with its own; the page has its own size again then. */
export async function findingsOfAll(page: Page): Promise<string[]> {
  const found: string[] = [];
  const before = page.viewportSize() ?? looks[0].size;
  for (const { size, colorScheme } of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const here = await findings(page);
    found.push(...here.map((finding) => `${size.width} px, ${colorScheme}: ${finding}`));
  }
  await page.setViewportSize(before);
  return found;
}
