import { isPromise } from "./bounded.ts";
import type { ImpressionStorage, MaybePromise } from "./platform.ts";

/** Tells the other tabs of a user that all is to be forgotten: they look before they send. */
export interface ClearMark {
  /** What the storage has by now is not news. */
  begin(): MaybePromise<void>;
  /** `onNews` where another instance has cleared since. Ends, or resolves, when that is known; without a wait where the storage hangs. */
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
  /** What the storage had; undefined where that is not known. */
  let known: string | null | undefined;
  /** This instance's own, which the storage may come to have whenever it likes, or never. */
  let own: string | undefined;
  let asking = false;
  let sets = 0;

  function read(then: (mark: string | null) => void): MaybePromise<void> {
    if (asking) return;
    // What was there before this instance's own mark is no news.
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
      // What is found until it is written, if it ever is, was there before.
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

/** FNV-1a, 32 bits: the mark stays in the storage, and must not reveal the account. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return (value >>> 0).toString(36);
}
