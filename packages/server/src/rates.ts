import {
  type DeviceId,
  type Operation,
  type OperationName,
  operations,
  pace,
  type Rate,
  SnugError,
} from "@snug/protocol";

/** Full buckets are forgotten when there are more than this: a bucket that is not there is full. */
const fewest = 4096;

interface Bucket {
  /** What may be taken now; below zero while somebody who is slowed down owes. */
  level: number;
  /** ms since 1970, when `level` was true */
  at: number;
}

/** Token buckets of one rate, one for each key. They know nothing of connections, so that reconnecting fills none. */
export class Buckets {
  readonly #rate: Rate;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  #sweepAbove = fewest;

  constructor(rate: Rate, now: () => number) {
    this.#rate = rate;
    this.#now = now;
  }

  /** Takes one if there is one. */
  allows(key: string): boolean {
    const bucket = this.#fill(key);
    if (bucket.level < 1) return false;
    bucket.level -= 1;
    return true;
  }

  /** Takes, on credit if it must, and returns the ms until that is paid back. */
  owes(key: string, cost: number): number {
    const bucket = this.#fill(key);
    bucket.level -= cost;
    return bucket.level >= 0 ? 0 : (-bucket.level / this.#rate.perSecond) * 1000;
  }

  #fill(key: string): Bucket {
    const now = this.#now();
    const known = this.#buckets.get(key);
    if (!known) {
      const bucket: Bucket = { level: this.#rate.burst, at: now };
      if (this.#buckets.size >= this.#sweepAbove) this.#sweep();
      this.#buckets.set(key, bucket);
      return bucket;
    }
    known.level = this.#levelAt(known, now);
    known.at = now;
    return known;
  }

  /** A clock that was put back fills nothing. */
  #levelAt({ level, at }: Bucket, now: number): number {
    return Math.min(this.#rate.burst, level + (Math.max(0, now - at) / 1000) * this.#rate.perSecond);
  }

  #sweep(): void {
    const now = this.#now();
    for (const [key, bucket] of this.#buckets) {
      if (this.#levelAt(bucket, now) >= this.#rate.burst) this.#buckets.delete(key);
    }
    // Not again for each of thousands who all came within the same second.
    this.#sweepAbove = Math.max(fewest, 2 * this.#buckets.size);
  }
}

/** Less than this is not worth a timer. ms */
const shortest = 10;

/** How often devices, and addresses where nobody has signed in, may ask for what. */
export class Rates {
  readonly #now: () => number;
  readonly #pace: Buckets;
  readonly #operations = new Map<OperationName, Buckets>();

  constructor(now: () => number) {
    this.#now = now;
    this.#pace = new Buckets(pace, now);
  }

  /** Throws `too-many` above the operation's rate. */
  check(name: OperationName, asker: DeviceId | string): void {
    const { rate }: Operation = operations[name];
    if (!rate) return;
    const buckets = this.#operations.get(name) ?? new Buckets(rate, this.#now);
    this.#operations.set(name, buckets);
    if (buckets.allows(asker)) return;
    throw new SnugError("too-many", `${name} is asked for too often; wait ${waitOf(rate)} and try again`);
  }

  /** The ms for which a device that has just sent a request of so many bytes is to be read no further. */
  pause(device: DeviceId, bytes: number): number {
    const owed = this.#pace.owes(device, 1 + Math.floor(bytes / 8192));
    return owed < shortest ? 0 : owed;
  }
}

function waitOf({ perSecond }: Rate): string {
  const seconds = Math.ceil(1 / perSecond);
  return seconds === 1 ? "a second" : `${seconds} s`;
}
