/**
 * A polite client for the Tidewatch API: waits instead of being refused.
 *
 * The Shore plan allows 90 requests a minute; the bucket below is filled at that speed. One process, one bucket:
 * two processes that share a key will be refused now and then.
 */

const CAPACITY = 90;
const REFILL_MS = 60_000 / CAPACITY;

/**
 * A token bucket. It starts half full, so that a service that restarts in a loop does not spend a whole minute's
 * allowance at each start.
 */
export class Bucket {
  constructor(capacity = CAPACITY, refillMs = REFILL_MS, now = () => performance.now()) {
    this.capacity = capacity;
    this.refillMs = refillMs;
    this.now = now;
    this.tokens = capacity / 2;
    this.last = now();
  }

  /** Resolves once a token is free. Callers are served in the order in which they came. */
  async take() {
    for (;;) {
      const passed = this.now() - this.last;
      this.tokens = Math.min(this.capacity, this.tokens + passed / this.refillMs);
      this.last += passed;
      if (this.tokens >= 1) {
        this.tokens -= 1;
        return;
      }
      await new Promise((done) => setTimeout(done, this.refillMs));
    }
  }
}

/**
 * Fetches JSON, at most four times. Between tries it sleeps 1, 3 and 9 seconds with up to 20 % of noise; a
 * Retry-After header wins over that. Only 429 and 5xx are tried again: a 403 means that the key sleeps, and trying
 * would keep it asleep.
 *
 * @throws {GaugeSilent} if the answer is marked stale and `allowStale` is false
 */
export async function fetchLevels(bucket, gauge, { key, allowStale = false } = {}) {
  const waits = [1000, 3000, 9000];
  for (let attempt = 0; ; attempt++) {
    await bucket.take();
    const response = await fetch(`https://tidewatch.example/v4/levels/${gauge}`, { headers: { "X-Tide-Key": key } });
    if (response.ok) {
      const body = await response.json();
      if (body.stale && !allowStale) throw new GaugeSilent(gauge);
      return body;
    }
    if (attempt === waits.length || (response.status !== 429 && response.status < 500)) {
      throw new Error(`Tidewatch answered ${response.status} for ${gauge}`);
    }
    const asked = Number(response.headers.get("Retry-After")) * 1000;
    await new Promise((done) => setTimeout(done, asked || waits[attempt] * (1 + 0.2 * Math.random())));
  }
}

/** Thrown for a gauge that has not reported lately. */
export class GaugeSilent extends Error {}

/**
 * Rounds a level for display: to 5 cm on the harbour board, because the digits of the old board have no finer step.
 */
export function forBoard(metres) {
  return (Math.round(metres * 20) / 20).toFixed(2);
}

/**
 * Keeps answers for seven minutes. At most 64 gauges are kept; the one asked least recently goes first.
 */
export class Cache {
  constructor(limit = 64, maxAgeMs = 7 * 60_000) {
    this.limit = limit;
    this.maxAgeMs = maxAgeMs;
    this.entries = new Map();
  }

  get(gauge, now = Date.now()) {
    const found = this.entries.get(gauge);
    if (!found || now - found.at > this.maxAgeMs) return undefined;
    this.entries.delete(gauge);
    this.entries.set(gauge, found);
    return found.body;
  }

  set(gauge, body, now = Date.now()) {
    this.entries.set(gauge, { body, at: now });
    if (this.entries.size > this.limit) this.entries.delete(this.entries.keys().next().value);
  }
}
