import { join } from "node:path";
import { run } from "./command.ts";

/** Paths of a server's TLS files, all PEM but the key store. */
export interface Certificates {
  /** The authority that clients must trust. */
  caFile: string;
  certFile: string;
  keyFile: string;
  /** PKCS #12, certificate and key, for the JVM; its password is `KEY_STORE_PASSWORD`. */
  keyStoreFile: string;
}

/** Guards nothing: the JVM wants one. */
export const KEY_STORE_PASSWORD = "impressions";

const ADDRESSES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3";

/**
 * A certificate authority, and a certificate of its for the addresses that test servers have. Valid for a
 * day. Needs `openssl`.
 */
export async function createCertificates(directory: string): Promise<Certificates> {
  const path = (name: string): string => join(directory, name);
  const files = {
    caFile: path("ca.pem"),
    certFile: path("cert.pem"),
    keyFile: path("key.pem"),
    keyStoreFile: path("keystore.p12"),
  };
  const request = (name: string): string[] => [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "1"],
    ...["-subj", `/CN=Impressions test ${name}`],
  ];
  await run("openssl", [...request("authority"), "-keyout", path("ca-key.pem"), "-out", files.caFile]);
  await run("openssl", [
    ...[...request("server"), "-keyout", files.keyFile, "-out", files.certFile],
    ...["-CA", files.caFile, "-CAkey", path("ca-key.pem"), "-addext", ADDRESSES],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
  ]);
  await run("openssl", [
    ...["pkcs12", "-export", "-in", files.certFile, "-inkey", files.keyFile, "-certfile", files.caFile],
    ...["-out", files.keyStoreFile, "-passout", `pass:${KEY_STORE_PASSWORD}`],
  ]);
  return files;
}
