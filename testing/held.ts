import { tidy } from "../packages/server/src/rest.ts";

/** Bytes that this process holds outside its heap. */
export function held(): number {
  tidy();
  return process.memoryUsage().arrayBuffers;
}

/** Growth since `before` that stays: buffers that nobody has any more are given back a little after a collection. */
export async function heldSince(before: number, bound: number): Promise<number> {
  let grown = held() - before;
  for (let look = 0; look < 600 && grown >= bound; look++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    grown = held() - before;
  }
  return grown;
}
