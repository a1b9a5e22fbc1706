import { describe, expect, test } from "vitest";
import { describeConfig, readConfig } from "../../src/config.ts";
import { ConfigError } from "../../src/config-values.ts";

describe("configuration", () => {
  test("nothing set gives the documented defaults", () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      ENGINE: "embedded",
      HOST: "127.0.0.1",
      PORT: 4000,
      DATA_DIR: "./data",
      WORKERS: 2,
      WORKER_PULL: 500,
      WORKER_CONCURRENCY_MAX: 256,
      QUEUE_MAX_BYTES: 10 * 1024 ** 3,
      RETENTION_DAYS: 90,
      retentionMs: 90 * 86_400_000,
      PLAYGROUND: true,
      INTROSPECTION: true,
    });
  });

  test("sizes take units, blanks count as unset, flags take on and off", () => {
    const config = readConfig({ QUEUE_MAX_BYTES: "512MiB", PORT: " ", PLAYGROUND: "off" });
    expect(config).toMatchObject({ QUEUE_MAX_BYTES: 512 * 1024 ** 2, PORT: 4000, PLAYGROUND: false });
  });

  test.each([
    [{ PORT: "http" }, "PORT=http: must be a whole number from 0 to 65535"],
    [{ PORT: "70000" }, "PORT=70000: must be a whole number from 0 to 65535"],
    [{ WORKERS: "0" }, "WORKERS=0: must be a whole number from 1 to 64"],
    [{ QUEUE_MAX_BYTES: "10 gigs" }, "QUEUE_MAX_BYTES=10 gigs: must be a size like 512MiB or 10GiB"],
    [{ ENGINE: "mysql" }, "ENGINE=mysql: must be embedded or cluster"],
    [{ PLAYGROUND: "maybe" }, "PLAYGROUND=maybe: must be on or off"],
  ])("%o is refused with what is expected", (environment, message) => {
    expect(() => readConfig(environment)).toThrow(new ConfigError(message));
  });

  test("addresses are host:port, with commas between them", () => {
    expect(readConfig({ NATS_SERVERS: "a:1, [::1]:2" }).NATS_SERVERS).toEqual(["a:1", "[::1]:2"]);
    expect(() => readConfig({ SCYLLA_CONTACT_POINTS: "db1" })).toThrow(
      /^SCYLLA_CONTACT_POINTS=db1: must be host:port/,
    );
  });

  test.each<[Record<string, string>]>([
    [{ IMPRESSIONS_URL: "http://me:hush@shop.example" }],
    [{ AUTH: "jwt", JWT_PUBLIC_KEY: "-----BEGIN PRIVATE KEY-----hush-----END PRIVATE KEY-----" }],
    [{ JWT_JWKS_URL: "https://me:hush@login.example" }],
    [{ NATS_SERVERS: "nats://me:hush@10.0.0.1:4222" }],
    [{ NATS_SERVERS: "hush@10.0.0.1:4222" }],
    [{ SCYLLA_CONTACT_POINTS: "me:hush,hush@10.0.0.1:9042" }],
  ])("a secret in the wrong place is not repeated: %j", (environment) => {
    const told = () => {
      try {
        return describeConfig(readConfig({ JWT_ISSUER: "me", JWT_AUDIENCE: "me", ...environment })).join(
          "\n",
        );
      } catch (error) {
        return (error as ConfigError).message;
      }
    };
    expect(told()).toContain("(not shown)");
    expect(told()).not.toContain("hush");
  });

  test("every wrong setting is named", () => {
    expect(() => readConfig({ PORT: "x", WORKERS: "y" })).toThrow(/^PORT=x: .*\nWORKERS=y: /);
  });

  test("without access control it listens on loopback only, unless told", () => {
    expect(() => readConfig({ HOST: "0.0.0.0" })).toThrow(/AUTH=off/);
    expect(readConfig({ HOST: "0.0.0.0", ALLOW_INSECURE: "1" }).HOST).toBe("0.0.0.0");
    for (const HOST of ["127.0.0.9", "::1", "localhost"]) expect(readConfig({ HOST }).HOST).toBe(HOST);
  });

  const JWT = {
    AUTH: "jwt",
    JWT_SECRET: "a secret of thirty-two bytes, at least",
    JWT_ISSUER: "https://login.example",
    JWT_AUDIENCE: "impressions",
  };

  test("with tokens it listens anywhere, and the playground and introspection are off unless asked for", () => {
    const config = readConfig({ ...JWT, HOST: "0.0.0.0" });
    expect(config).toMatchObject({ PLAYGROUND: false, INTROSPECTION: false });
    expect(config.tokens).toEqual({
      keys: { kind: "secret", secret: JWT.JWT_SECRET },
      issuer: JWT.JWT_ISSUER,
      audiences: [JWT.JWT_AUDIENCE],
      claims: { user: "sub", audience: "aud", scopes: ["scope", "scp"], scopePrefix: "" },
    });
    expect(readConfig({ ...JWT, PLAYGROUND: "on", INTROSPECTION: "on" })).toMatchObject({
      PLAYGROUND: true,
      INTROSPECTION: true,
    });
    expect(readConfig({}).tokens).toBeNull();
  });

  test.each<[Record<string, string>, RegExp]>([
    [{ JWT_SECRET: "" }, /exactly one of JWT_JWKS_URL, JWT_PUBLIC_KEY and JWT_SECRET .* has none$/],
    [{ JWT_JWKS_URL: "https://login.example/jwks" }, /exactly one of .* has 2$/],
    [{ JWT_JWKS_URL: "https://login.example/jwks", JWT_PUBLIC_KEY: "key.pem" }, /exactly one of .* has 3$/],
    [{ JWT_ISSUER: "" }, /needs JWT_ISSUER and JWT_AUDIENCE/],
    [{ JWT_AUDIENCE: "" }, /needs JWT_ISSUER and JWT_AUDIENCE/],
    [{ JWT_AUDIENCE: "a,,b" }, /^JWT_AUDIENCE=a,,b: must be a name, or several/],
    [{ JWT_AUDIENCE_CLAIM: "sub" }, /^JWT_AUDIENCE_CLAIM=sub: must be aud, or another claim/],
    [{ JWT_SCOPE_CLAIMS: "scp,sub" }, /^JWT_SCOPE_CLAIMS=scp,sub: must be claims that hold scopes/],
    [
      { JWT_SCOPE_CLAIMS: "scope,oid", JWT_USER_CLAIM: "oid" },
      /^JWT_USER_CLAIM=oid: is one of JWT_SCOPE_CLAIMS/,
    ],
    [{ JWT_SCOPE_PREFIX: "a b" }, /^JWT_SCOPE_PREFIX=a b: must be what stands in front of scopes/],
    [{ JWT_SECRET: "too short" }, /^JWT_SECRET=\(not shown\): must have at least 32 bytes$/],
    [{ JWT_SECRET: "", JWT_JWKS_URL: "login.example" }, /must be an http or https address/],
    [{ JWT_SECRET: "", JWT_JWKS_URL: "https://me:hush@login.example" }, /must hold no user/],
    [{ JWT_SECRET: "", JWT_JWKS_URL: "http://login.example/jwks" }, /plain http/],
    [{ AUTH: "off" }, /^AUTH=off: keys for tokens are set/],
    [{ AUTH: "basic" }, /^AUTH=basic: must be off or jwt$/],
  ])("tokens that could not be checked as meant are refused: %j", (environment, message) => {
    const failure = (() => {
      try {
        return readConfig({ ...JWT, ...environment });
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(ConfigError);
    expect((failure as ConfigError).message).toMatch(message);
    expect((failure as ConfigError).message).not.toMatch(/thirty-two|too short/);
  });

  test("keys may come over plain http from this machine, or with ALLOW_INSECURE", () => {
    const keysFrom = (JWT_JWKS_URL: string, more = {}) =>
      readConfig({ ...JWT, JWT_SECRET: "", JWT_JWKS_URL, ...more }).tokens?.keys;
    for (const url of ["http://127.0.0.1:8080/jwks", "http://[::1]:8080/jwks", "https://login.example/jwks"])
      expect(keysFrom(url)).toEqual({ kind: "jwks", url });
    const url = "http://login.internal/jwks";
    expect(keysFrom(url, { ALLOW_INSECURE: "1" })).toEqual({ kind: "jwks", url });
  });

  test("rate limits hold with tokens, and where they are set", () => {
    expect(readConfig({})).toMatchObject({
      REQUESTS_PER_MINUTE_MAX: 0,
      IMPRESSIONS_PER_MINUTE_MAX: 0,
      IMPRESSIONS_PER_DAY_MAX: 0,
    });
    expect(readConfig(JWT)).toMatchObject({
      REQUESTS_PER_MINUTE_MAX: 60_000,
      IMPRESSIONS_PER_MINUTE_MAX: 6_000,
      IMPRESSIONS_PER_DAY_MAX: 20_000,
    });
    for (const name of ["IMPRESSIONS_PER_MINUTE_MAX", "IMPRESSIONS_PER_DAY_MAX"] as const) {
      expect(readConfig({ ...JWT, [name]: "0" })[name]).toBe(0);
      expect(readConfig({ [name]: "500" })[name]).toBe(500);
      expect(() => readConfig({ [name]: "499" })).toThrow(
        new RegExp(`${name}=499: must be 0 for no limit, or at least 500`),
      );
    }
  });

  test.each<[string, unknown]>([
    ["off", false],
    ["2", 2],
    ["10.0.0.7, 10.1.0.0/16,::1,fd00::/8", ["10.0.0.7", "10.1.0.0/16", "::1", "fd00::/8"]],
  ])("TRUST_PROXY=%s", (TRUST_PROXY, meant) => {
    const config = readConfig({ TRUST_PROXY });
    expect(config.TRUST_PROXY).toEqual(meant);
    const [line = ""] = describeConfig(config).filter((each) => each.startsWith("TRUST_PROXY="));
    expect(readConfig({ TRUST_PROXY: line.slice("TRUST_PROXY=".length) }).TRUST_PROXY).toEqual(meant);
  });

  // "on" would trust the header of any sender.
  test.each(["on", "true", "0", "10", "proxy.internal", "10.0.0.0/33", "10.0.0.0/", "::1/129", "10.0.0.1,"])(
    "TRUST_PROXY=%s is refused",
    (TRUST_PROXY) => {
      expect(() => readConfig({ TRUST_PROXY })).toThrow(/must be off, the number of proxies/);
    },
  );

  test.each([
    ["https://shop.example, http://localhost:3000", ["https://shop.example", "http://localhost:3000"]],
    ["capacitor://localhost,ionic://localhost", ["capacitor://localhost", "ionic://localhost"]],
    [
      "https://*.shop.example,https://*.shop.example:8443",
      ["https://*.shop.example", "https://*.shop.example:8443"],
    ],
    ["http://127.0.0.1:5173,http://[::1]:5173", ["http://127.0.0.1:5173", "http://[::1]:5173"]],
    ["https://xn--bcher-kva.example", ["https://xn--bcher-kva.example"]],
  ])("CORS_ORIGINS=%s", (CORS_ORIGINS, expected) => {
    expect(readConfig({ CORS_ORIGINS }).CORS_ORIGINS).toEqual(expected);
  });

  test.each([
    ["*", /\* would let every page in/],
    ["null", /null stands for many origins/],
    ["shop.example", /begins with its scheme, such as https:\/\/shop\.example/],
    ["localhost:3000", /begins with its scheme/],
    ["https://shop.example/", /https:\/\/shop\.example is what browsers send/],
    ["https://shop.example/app", /https:\/\/shop\.example is what browsers send/],
    ["https://Shop.example", /https:\/\/shop\.example is what browsers send/],
    ["https://shop.example:443", /https:\/\/shop\.example is what browsers send/],
    ["https://bücher.example", /https:\/\/xn--bcher-kva\.example is what browsers send/],
    ["https://shop.example,", /an origin is missing between commas/],
    ["https://a.example,https://b.example/", /"https:\/\/b\.example\/": https:\/\/b\.example is what/],
    ["https://", /no origin/],
    ["https://shop.*", /\*\. may stand once, in front of at least two names/],
    ["https://*shop.example", /\*\. may stand once/],
    ["https://*.example", /\*\. may stand once/],
    ["https://*.*.shop.example", /\*\. may stand once/],
    ["*.shop.example", /begins with its scheme/],
    ["capacitor://localhost/", /no origin/],
    ["https://me@shop.example", /https:\/\/shop\.example is what browsers send/],
  ])("CORS_ORIGINS=%s could never match, and is refused", (CORS_ORIGINS, message) => {
    expect(() => readConfig({ CORS_ORIGINS })).toThrow(message);
  });

  test("CORS_HEADERS are names of headers, by default those that tracing and Apollo Client add", () => {
    expect(readConfig({}).CORS_HEADERS).toEqual(
      expect.arrayContaining([
        "traceparent",
        "tracestate",
        "baggage",
        "sentry-trace",
        "apollographql-client-name",
      ]),
    );
    expect(readConfig({ CORS_HEADERS: "X-Shop, b3" }).CORS_HEADERS).toEqual(["x-shop", "b3"]);
    for (const wrong of ["x shop", "x-shop,", "x-shop: 1", "*"])
      expect(() => readConfig({ CORS_HEADERS: wrong }), wrong).toThrow(/must be names of headers/);
  });

  test("a key's text is printed on one line that can be set again; a secret is not printed", () => {
    const JWT_PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
    const lines = describeConfig(readConfig({ ...JWT, JWT_SECRET: "", JWT_PUBLIC_KEY }));
    expect(lines).toContain(`JWT_PUBLIC_KEY=${JWT_PUBLIC_KEY.replaceAll("\n", "\\n")}`);
    expect(describeConfig(readConfig(JWT))).toContain("JWT_SECRET=(set)");
  });

  test("metrics are served where access is open, a token is asked for, or the port is their own", () => {
    expect(readConfig({}).METRICS).toBe(true);
    expect(readConfig({ METRICS: "off" }).METRICS).toBe(false);
    expect(readConfig(JWT).METRICS).toBe(false);
    for (const more of [{ METRICS_TOKEN: "a token of tests" }, { METRICS_PORT: "9464" }, { METRICS: "on" }])
      expect(readConfig({ ...JWT, ...more }).METRICS).toBe(true);
  });

  test("a secret that cannot be used is not repeated", () => {
    expect(() => readConfig({ METRICS_TOKEN: "hush" })).toThrow(
      new ConfigError("METRICS_TOKEN=(not shown): must have at least 12 characters"),
    );
  });

  test("the printed settings can be set again, and secrets are not printed", () => {
    const lines = describeConfig(readConfig({ IMPRESSIONS_TOKEN: "hush", PORT: "4001", PLAYGROUND: "off" }));
    expect(lines).toContain("PORT=4001");
    expect(lines).toContain("PLAYGROUND=off");
    expect(lines.join("\n")).not.toContain("hush");
    const environment = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s)));
    expect(describeConfig(readConfig(environment))).toEqual(lines);
  });

  const SECRETS = describeConfig(readConfig({}))
    .map((line) => line.slice(0, line.indexOf("=")))
    .filter((name) => /_(TOKEN|SECRET|PASSWORD|KEY)$/.test(name) && name !== "JWT_PUBLIC_KEY");

  test.each(SECRETS)("%s is taken as it is, or refused, never changed", (name) => {
    const secret = "inner spaces stay, and so do thirty-two bytes";
    const settings = { ...JWT, [name]: secret };
    expect(readConfig(settings)).toMatchObject({ [name]: secret });
    for (const [padded, what] of [
      [`${secret} `, "ends with a space"],
      [`${secret}\n`, "ends with a line feed"],
      [`${secret}\r\n`, "ends with a line feed"],
      [`\t${secret}`, "begins with a tab"],
      [`${secret}\u00a0`, "ends with U+00A0"],
      [" ", "begins with a space"],
    ] as const)
      expect(() => readConfig({ ...settings, [name]: padded })).toThrow(
        `${name}=(not shown): ${what}, which is easily lost on the way`,
      );
    expect(readConfig({ AUTH: "off", [name]: "" })).toMatchObject({});
  });

  test("all secrets are among them", () => {
    expect(SECRETS).toHaveLength(6);
  });
});
