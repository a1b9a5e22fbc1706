// Preloaded into a service by a test (node --import): each SIGUSR2 sets the process's wall clock 100 days ahead, or back to
// the host's. The monotonic clock is not affected, as when a host's clock is set.

const JUMP_MS = 100 * 86_400_000;
const hostNow = Date.now.bind(Date);
let aheadMs = 0;
Date.now = () => hostNow() + aheadMs;
process.on("SIGUSR2", () => {
  aheadMs = JUMP_MS - aheadMs;
});
