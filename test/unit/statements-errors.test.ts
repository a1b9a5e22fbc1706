import { errors, types } from "cassandra-driver";
import { describe, expect, it } from "vitest";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import { isMissingTable, toStoreError } from "../../src/scylla/errors.ts";

const { responseErrorCodes } = types;
const response = (code: number, message: string) => new errors.ResponseError(code, message);

describe("errors of the driver", () => {
  it.each([
    response(responseErrorCodes.unavailableException, "Cannot achieve consistency level LOCAL_QUORUM"),
    response(responseErrorCodes.overloaded, "overloaded"),
    response(responseErrorCodes.isBootstrapping, "bootstrapping"),
    response(responseErrorCodes.writeTimeout, "Operation timed out"),
    response(responseErrorCodes.readTimeout, "Operation timed out"),
    response(responseErrorCodes.writeFailure, "Operation failed"),
    response(responseErrorCodes.badCredentials, "Provided username and/or password are incorrect"),
    response(responseErrorCodes.unauthorized, "User has no MODIFY permission"),
    response(responseErrorCodes.syntaxError, "no viable alternative"),
    // Invalid, and yet not the row's fault.
    response(responseErrorCodes.invalid, "table user_packs does not exist"),
    response(responseErrorCodes.invalid, "Keyspace 'impressions' does not exist"),
    response(
      responseErrorCodes.invalid,
      "Guardrail replica_disk_usage violated: disk usage exceeds failure threshold",
    ),
    new errors.NoHostAvailableError({ "127.0.0.1:9042": new Error("connect ECONNREFUSED") }),
    new errors.OperationTimedOutError("The host did not reply before timeout"),
    new errors.BusyConnectionError("127.0.0.1:9042", 2_048, 1),
    new errors.AuthenticationError("no"),
    new errors.DriverInternalError("a bug"),
    new Error("anything else"),
    "not even an error",
  ])("counts as passing: %o", (error) => {
    expect(toStoreError(error)).toBeInstanceOf(StoreUnavailableError);
  });

  it.each([
    response(responseErrorCodes.invalid, "Key length of 70000 is longer than maximum of 65535"),
    response(responseErrorCodes.invalid, "Key size too large: 70000 > 65535"),
    response(responseErrorCodes.invalid, "Key may not be empty"),
    response(
      responseErrorCodes.invalid,
      "Cannot provide a timestamp more than 3 days into the future. If this was not intended, make sure ...",
    ),
    new TypeError("Not a valid text value, expected String obtained { a: 1 }"),
    new RangeError('The value of "value" is out of range'),
  ])("is about the row: %o", (error) => {
    expect(toStoreError(error)).toBeInstanceOf(StoreRefusedError);
    expect(toStoreError(error).cause).toBe(error);
  });

  it("says of each node why it did not serve, without the driver's stacks", () => {
    const closed = new Error("Socket was closed");
    const refused = new Error("connect ECONNREFUSED 127.0.0.2:9042");
    const tried = { "127.0.0.1:9042": closed, "127.0.0.2:9042": refused };
    expect(toStoreError(new errors.NoHostAvailableError(tried)).message).toBe(
      "the database: no node has served the request (127.0.0.1:9042: Socket was closed; " +
        "127.0.0.2:9042: connect ECONNREFUSED 127.0.0.2:9042)",
    );
    const many = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`10.0.0.${i}:9042`, closed]));
    expect(toStoreError(new errors.NoHostAvailableError(many)).message).toMatch(
      /10\.0\.0\.4:9042: Socket was closed; and 2 more\)$/,
    );
    expect(toStoreError(new errors.NoHostAvailableError({})).message).toBe(
      "the database: no node can be reached",
    );
    expect(toStoreError(new errors.NoHostAvailableError({}, "No host could be resolved")).message).toBe(
      "the database: No host could be resolved",
    );
  });

  it("is left as it is where it is the port's already", () => {
    for (const error of [new StoreUnavailableError("x"), new StoreRefusedError("y")])
      expect(toStoreError(error)).toBe(error);
  });

  it("names a missing table in Cassandra's words and in ScyllaDB's", () => {
    const { invalid } = responseErrorCodes;
    expect(isMissingTable(response(invalid, "table schema_migrations does not exist"))).toBe(true);
    expect(isMissingTable(response(invalid, "unconfigured table schema_migrations"))).toBe(true);
    expect(isMissingTable(response(invalid, "Undefined column name checksum"))).toBe(false);
    expect(isMissingTable(new Error("table x does not exist"))).toBe(false);
  });
});
