import { processLocks } from "./local.ts";
import type { OwnerLocks } from "./platform.ts";

/**
 * Without Web Locks (a page without TLS) the owner of a name counts as dead when the name is this old: a tab is not expected to
 * stay offline for a day.
 */
const DEAD_AFTER_MS = 86_400_000;

/** Holds a Web Lock for each owner name. The browser releases the lock whenever the page ends, also in a crash. */
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

/** A name begins with the instant of its creation. */
function isOwnOrOld(owner: string): boolean {
  const ageMs = Date.now() - Number.parseInt(owner, 36);
  return ageMs < 1_000 || ageMs > DEAD_AFTER_MS;
}
