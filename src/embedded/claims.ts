import type { Clock } from "../domain/time.ts";

/** Who works at an erasure. In memory: one process has the files, and what it claimed ends with it. */
export function createClaims(clock: Pick<Clock, "monotonicMs">) {
  const claims = new Map<string, { readonly holder: string; readonly untilMs: number }>();

  const holderOf = (id: string) => {
    const claim = claims.get(id);
    return claim === undefined || claim.untilMs <= clock.monotonicMs() ? null : claim.holder;
  };

  return {
    claim(id: string, holder: string, leaseMs: number): boolean {
      if ((holderOf(id) ?? holder) !== holder) return false;
      claims.set(id, { holder, untilMs: clock.monotonicMs() + leaseMs });
      return true;
    },
    release(id: string, holder: string): void {
      if (claims.get(id)?.holder === holder) claims.delete(id);
    },
  };
}
