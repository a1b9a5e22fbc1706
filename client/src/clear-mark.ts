import { isPromise } from "./bounded.ts";
import type { ImpressionStorage, MaybePromise } from "./platform.ts";

/** A stored mark by which other tabs of the same user learn of `clear()`: each tab reads it before it sends. */
export interface ClearMark {
  /** Reads the present mark, so that only a later change counts as news. */
  begin(): MaybePromise<void>;
  /** Calls `onNews` if another instance has cleared since. Returns after that, or a promise of it; does not wait while the storage hangs. */
  look(onNews: () => void): MaybePromise<void>;
  set(mark: string): MaybePromise<void>;
}

export function createClearMark(deps: {
  readonly storage: ImpressionStorage;
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  readonly onFailure: (error: unknown) => void;
}): ClearMark {
  const { storage, bound, account, onFailure } = deps;
  const key = `impressions-cleared/${hash(account)}`;
  /** The mark that was read last; undefined where it is unknown. */
  let known: string | null | undefined;
  /** The mark of this instance, which a slow storage may write at any time, or never. */
  let own: string | undefined;
  let asking = false;
  let sets = 0;

  function read(then: (mark: string | null) => void): MaybePromise<void> {
    if (asking) return;
    // A read that began before this instance set its own mark is ignored.
    const setsBefore = sets;
    const take = (mark: string | null | undefined) => {
      asking = false;
      if (sets === setsBefore) then(mark ?? null);
    };
    try {
      const value = storage.get(key);
      if (!isPromise(value)) {
        take(value);
        return;
      }
      asking = true;
      const ended = value.then(take, (error: unknown) => {
        asking = false;
        throw error;
      });
      return Promise.resolve(bound(ended)).catch(onFailure);
    } catch (error) {
      onFailure(error);
    }
  }

  return {
    begin: () =>
      read((mark) => {
        known = mark;
      }),
    look: (onNews) =>
      read((mark) => {
        const isNews = known !== undefined && mark !== known && mark !== own;
        known = mark;
        if (isNews) onNews();
      }),
    set(mark) {
      sets++;
      own = mark;
      // Until the write ends, a mark that is read is an old one.
      known = undefined;
      const setsNow = sets;
      const written = () => {
        if (sets === setsNow) known = mark;
      };
      const setting = storage.set(key, mark);
      if (!isPromise(setting)) written();
      else return bound(setting.then(written));
    },
  };
}

/** FNV-1a, 32 bits. The key of the mark stays in the storage, and must not reveal the account. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return (value >>> 0).toString(36);
}
