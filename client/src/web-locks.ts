import { processLocks } from "./local.ts";
import type { OwnerLocks } from "./platform.ts";

/**
 * Where there are no Web Locks (a page without TLS), a name that was made so long ago counts as dead: no tab is expected
 * to stay offline for a day.
 */
const DEAD_AFTER_MS = 86_400_000;

/** Names are alive in this browser as long as their page is: the browser gives a lock back when a page ends, however it ends. */
export const webLocks: OwnerLocks = {
  acquire(owner) {
    const own = processLocks.acquire(owner);
    if (own === null || own instanceof Promise) return own;
    if (navigator.locks === undefined) return isOwnOrOld(owner) ? own : released(own);
    return new Promise((resolve, reject) => {
      const held = navigator.locks.request(`impressions/${owner}`, { ifAvailable: true }, (lock) => {
        if (lock === null) {
          resolve(released(own));
          return;
        }
        return new Promise<void>((release) => {
          resolve(() => {
            own();
            release();
          });
        });
      });
      held.catch(reject);
    });
  },
};

function released(release: () => void): null {
  release();
  return null;
}

/** A name begins with the instant at which it was made. */
function isOwnOrOld(owner: string): boolean {
  const ageMs = Date.now() - Number.parseInt(owner, 36);
  return ageMs < 1_000 || ageMs > DEAD_AFTER_MS;
}
