export const REJECTS_SUFFIX = ".rejects.ndjson";
export const CHECKPOINT_SUFFIX = ".import-checkpoint.json";

/** The options of `impressions import`, as they were given. */
export interface ImportFlags {
  readonly rejects?: string;
  readonly checkpoint?: string;
  readonly restart?: boolean;
  readonly strict?: boolean;
  readonly dryRun?: boolean;
  readonly allowLostCharacters?: boolean;
  readonly backlog: number;
  readonly wait: boolean;
}
