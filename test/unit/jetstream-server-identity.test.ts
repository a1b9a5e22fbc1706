import type { PeerCertificate } from "node:tls";
import { expect, test } from "vitest";
import { serverIdentityCheck } from "../../src/jetstream/server-identity.ts";

const certificateFor = (...names: readonly string[]) =>
  ({ subject: { CN: "any" }, subjectaltname: names.join(", ") }) as unknown as PeerCertificate;
const ADDRESS = certificateFor("IP Address:10.0.0.7");
const IPV6 = certificateFor("IP Address:FD00:0:0:0:0:0:0:7");
const LOCALHOST = certificateFor("DNS:localhost");
const NAME = certificateFor("DNS:nats.example.org");

/** `localhost` is what Node asks for where the client passes no name on: for addresses. */
test.each<[string, readonly string[], string, PeerCertificate, boolean]>([
  ["an address and its certificate", ["10.0.0.7:4222"], "localhost", ADDRESS, true],
  ["an address and another's certificate", ["10.0.0.8:4222"], "localhost", ADDRESS, false],
  ["an address and localhost's certificate", ["10.0.0.7:4222"], "localhost", LOCALHOST, false],
  ["one of several addresses", ["10.0.0.8:4222", "10.0.0.7:4222"], "localhost", ADDRESS, true],
  ["an address of version 6", ["[fd00::7]:4222"], "localhost", IPV6, true],
  ["localhost itself", ["localhost:4222"], "localhost", LOCALHOST, true],
  ["localhost and another's certificate", ["localhost:4222"], "localhost", ADDRESS, false],
  ["a name", ["nats.example.org:4222"], "nats.example.org", NAME, true],
  ["a name and another's certificate", ["nats.example.org:4222"], "nats.example.org", ADDRESS, false],
  ["a name that stands beside an address", ["10.0.0.7:4222", "other:4222"], "other", ADDRESS, false],
  ["no name where there are only names", ["nats.example.org:4222"], "localhost", NAME, false],
])("%s", (_what, servers, name, certificate, isAccepted) => {
  const error = serverIdentityCheck(servers)(name, certificate);
  expect(error === undefined).toBe(isAccepted);
});
