/** `act` on each of them, `size` under way at a time; the results in the order of `all`. */
export async function inGroups<T, R>(
  all: readonly T[],
  size: number,
  act: (one: T, at: number) => Promise<R>,
): Promise<R[]> {
  const waiting = all.entries();
  const done: R[] = [];
  const worker = async (): Promise<void> => {
    // Shared by all workers: each takes the next.
    for (const [at, one] of waiting) done[at] = await act(one, at);
  };
  await Promise.all(Array.from({ length: size }, worker));
  return done;
}
