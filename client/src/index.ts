/**
 * The SDK without a platform, and the parts that all platforms share. Apps import `@impressions/client/browser`,
 * `@impressions/client/react-native` or `@impressions/client/node`.
 */
export type { Fetch } from "./fetch-post.ts";
export type { Impression, ViewDetails } from "./impression.ts";
export { createImpressionsOn, type Impressions, type Status } from "./impressions.ts";
export { memoryStorage, processLocks } from "./local.ts";
export {
  type Account,
  type Callbacks,
  type Consent,
  type CoreOptions,
  DEFAULT_TUNING,
  type Dropped,
  type GetToken,
  type ImpressionsError,
  type Tuning,
} from "./options.ts";
export type {
  HttpAnswer,
  HttpRequest,
  ImpressionStorage,
  LifecycleListener,
  MaybePromise,
  OwnerLocks,
  Platform,
} from "./platform.ts";
export {
  createViewReporter,
  createViewTracker,
  type ReportedDetails,
  type SeenView,
  type ViewReporter,
  type ViewRule,
  type ViewTracker,
} from "./viewability.ts";
