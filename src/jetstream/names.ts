/** What the installation is called on the server: its streams, subjects and consumer. */
export interface JetStreamNames {
  /** The work queue. With a sequence it identifies a message for ever, so it stays once there are dead letters. */
  readonly stream: string;
  readonly subjects: string;
  readonly publishSubject: string;
  /** The durable consumer that all workers share. */
  readonly consumer: string;
  readonly deadLetterStream: string;
  readonly deadLetterSubjects: string;
  /** Followed by `.<REASON>.<letter>`. */
  readonly deadLetterPrefix: string;
  /** The bucket of attempt records, as the stream that it is. */
  readonly attemptsStream: string;
  readonly attemptsSubjects: string;
  /** Followed by `.<sequence>`. */
  readonly attemptsPrefix: string;
  /** Followed by `.<worker>`; core NATS, stored nowhere. */
  readonly statusPrefix: string;
}

const NAMESPACE_DEFAULT = "impressions";

/**
 * @param namespace lower case, digits and `_`. Two installations on one NATS account take different ones.
 */
export function namesOf(namespace: string = NAMESPACE_DEFAULT): JetStreamNames {
  const upper = namespace.toUpperCase();
  return {
    stream: upper,
    subjects: `${namespace}.v1.>`,
    publishSubject: `${namespace}.v1.submissions`,
    consumer: "workers",
    deadLetterStream: `${upper}_DEAD`,
    deadLetterSubjects: `${namespace}_dead.v1.>`,
    deadLetterPrefix: `${namespace}_dead.v1`,
    attemptsStream: `KV_${namespace}_attempts`,
    attemptsSubjects: `$KV.${namespace}_attempts.>`,
    attemptsPrefix: `$KV.${namespace}_attempts`,
    statusPrefix: `${namespace}_status`,
  };
}
