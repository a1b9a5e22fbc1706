import { errors, types } from "cassandra-driver";
import { StoreRefusedError, StoreUnavailableError } from "../ports/errors.ts";
import type { ScyllaSettings } from "./settings.ts";

/**
 * What the driver throws, as the port's errors.
 *
 * Only what is certainly about the row becomes StoreRefusedError and thereby a dead letter. Everything else counts as
 * passing: an unknown "invalid request" is far more likely a guardrail, a full disk or a table that is missing than one
 * row among thousands, and a message that is tried again is never lost.
 */
export function toStoreError(error: unknown): StoreUnavailableError | StoreRefusedError {
  if (error instanceof StoreUnavailableError || error instanceof StoreRefusedError) return error;
  const message = `the database: ${errorWithNodes(error)}`;
  return isAboutTheRow(error)
    ? new StoreRefusedError(message, { cause: error })
    : new StoreUnavailableError(message, { cause: error });
}

/** Nodes whose errors one message has. */
const NODES_NAMED_MAX = 5;

/** What Cassandra and ScyllaDB say of a row that they cannot hold. */
const ROW_PROBLEMS = [
  /key length of \d+ is longer than maximum/i,
  /key size too large/i,
  /sum of all clustering columns is too long/i,
  /key may not be empty/i,
  /invalid (null|unset) value/i,
  // ScyllaDB (restrict_future_timestamp): received by a host whose clock was that far ahead. Tried again for days, it
  // would hold up its message; as a dead letter it keeps its receivedAt, and can be put back.
  /timestamp more than 3 days into the future/i,
];

function isAboutTheRow(error: unknown): boolean {
  // The driver could not encode a value as its column's type.
  if (error instanceof TypeError || error instanceof RangeError) return true;
  if (!(error instanceof errors.ResponseError)) return false;
  return (
    error.code === types.responseErrorCodes.invalid &&
    ROW_PROBLEMS.some((problem) => problem.test(error.message))
  );
}

/** Cassandra's and ScyllaDB's words for a table that is not there. */
export function isMissingTable(error: unknown): boolean {
  return (
    error instanceof errors.ResponseError &&
    error.code === types.responseErrorCodes.invalid &&
    /table \S+ does not exist|unconfigured table/i.test(error.message)
  );
}

/**
 * The line for an operator where a connection failed for what is configured, so that waiting would not help; null where
 * the database may just be down.
 */
export function configurationProblem(error: unknown, settings: ScyllaSettings): string | null {
  const { contactPoints, localDataCenter, keyspace, user, tlsCa } = settings;
  const where = contactPoints.join(", ");
  const problems = [error, ...innerErrorsOf(error)];
  if (problems.some(isRefusedLogin)) {
    return user === undefined
      ? `the database at ${where} asks for a login: set SCYLLA_USER and SCYLLA_PASSWORD`
      : `the database at ${where} refuses the login of "${user}": check SCYLLA_USER and SCYLLA_PASSWORD`;
  }
  const otherNames = problems.find((problem) => codeOf(problem) === "ERR_TLS_CERT_ALTNAME_INVALID");
  if (otherNames !== undefined) {
    return (
      `the certificate of the database at ${where} is for other names (${messageOf(otherNames)}): set ` +
      "SCYLLA_TLS_SERVER_NAME to a name that all nodes' certificates have, or correct SCYLLA_CONTACT_POINTS"
    );
  }
  const tls = problems.find((problem) => TLS_CODE.test(codeOf(problem)));
  if (tls !== undefined) {
    return `no trusted TLS connection to the database at ${where} (${messageOf(tls)}): check SCYLLA_TLS_CA=${tlsCa}`;
  }
  const dataCenter = problems.find(
    (problem) => problem instanceof errors.ArgumentError && /data ?center/i.test(problem.message),
  );
  if (dataCenter !== undefined) {
    const there =
      /only found hosts in data centers: \[([^\]]*)\]/.exec(messageOf(dataCenter))?.[1] ?? "others";
    return `the database at ${where} has no data center "${localDataCenter}", only ${there}: check SCYLLA_LOCAL_DC`;
  }
  if (
    problems.some(
      (problem) => problem instanceof Error && /keyspace .* does not exist/i.test(problem.message),
    )
  ) {
    return `the database at ${where} has no keyspace "${keyspace}": check SCYLLA_KEYSPACE, or run: impressions migrate`;
  }
  return null;
}

/** The line where the database cannot be reached. */
export function unreachable(error: unknown, settings: ScyllaSettings): string {
  const [first] = innerErrorsOf(error);
  const hint =
    settings.tlsCa === undefined
      ? "SCYLLA_CONTACT_POINTS, and set SCYLLA_TLS_CA if it wants TLS"
      : "SCYLLA_CONTACT_POINTS and SCYLLA_TLS_CA";
  return `cannot reach the database at ${settings.contactPoints.join(", ")} (${messageOf(first ?? error)}): is it running? Else check ${hint}`;
}

function isRefusedLogin(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // The server could not look the login up: it is starting, or its own tables have no quorum.
  if (/unable to perform authentication/i.test(error.message)) return false;
  return (
    error instanceof errors.AuthenticationError ||
    (error instanceof errors.ResponseError && error.code === types.responseErrorCodes.badCredentials)
  );
}

/** Node's and OpenSSL's words for a certificate that is not trusted, and for an authority file that is none. */
const TLS_CODE = /CERT|^ERR_(SSL|OSSL|TLS)_|UNABLE_TO_(VERIFY|GET_ISSUER)|^EPROTO$/;

/** Node's code for what happened to a socket; "" where there is none. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** The driver's own line where no node has served a request has the stack of one node's error in it, or nothing at all. */
function errorWithNodes(error: unknown): string {
  if (!(error instanceof errors.NoHostAvailableError) || !error.message.startsWith("All host(s) tried"))
    return messageOf(error);
  const tried = Object.entries(error.innerErrors ?? {});
  // The driver does not try those of which it knows that they are down.
  if (tried.length === 0) return "no node can be reached";
  const named = tried.slice(0, NODES_NAMED_MAX).map(([node, problem]) => `${node}: ${messageOf(problem)}`);
  const more = tried.length - named.length;
  return `no node has served the request (${named.join("; ")}${more > 0 ? `; and ${more} more` : ""})`;
}

/** What each host said, where several were tried. */
function innerErrorsOf(error: unknown): unknown[] {
  if (!(error instanceof errors.NoHostAvailableError)) return [];
  const inner: unknown = error.innerErrors;
  return typeof inner === "object" && inner !== null ? Object.values(inner) : [];
}

export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.replaceAll(/\s+/g, " ");
}
