import { isIP } from "node:net";
import { z } from "zod";
import type { TrustProxy } from "./server/fastify-server.ts";

/** Something in the environment is wrong. The message has one line for each setting. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** The kinds of values that settings have: each takes the text of the environment and says what it must be. */

const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);
export const integer = (fallback: number, min: number, max: number) =>
  wholeNumber(min, max).default(fallback);

const SIZE = /^(\d+)\s*(B|KiB|MiB|GiB|TiB)?$/;
const SIZE_UNITS: Record<string, number> = { B: 1, KiB: KIB, MiB: MIB, GiB: GIB, TiB: 1024 * GIB };
export const bytes = (fallback: number, min: number) =>
  z
    .string()
    .regex(SIZE, "must be a size like 512MiB or 10GiB")
    .transform((text) => {
      const [, digits, unit] = SIZE.exec(text) ?? [];
      return Number(digits) * (SIZE_UNITS[unit ?? "B"] ?? 1);
    })
    .refine((value) => value >= min, `must be at least ${min} bytes`)
    .default(fallback);

export const flag = z
  .enum(["on", "off", "true", "false", "1", "0"], "must be on or off")
  .transform((text) => text === "on" || text === "true" || text === "1");

/** Comma-separated `host:port`. */
export const addresses = (fallback: string) =>
  z
    .string()
    .transform((list) => list.split(",").map((address) => address.trim()))
    .refine(
      (list) => list.every((address) => /^(\[[0-9a-fA-F:]+\]|[^\s:/@]+):\d{1,5}$/.test(address)),
      "must be host:port, or several with commas between them",
    )
    .prefault(fallback);

/** `off`, how many proxies there are, or whose addresses they have. */
export const trustProxy = z
  .string()
  .refine(
    (setting) => setting === "off" || /^[1-9]$/.test(setting) || setting.split(",").every(isNetwork),
    "must be off, the number of proxies (1 to 9), or their addresses (10.0.0.7 or 10.0.0.0/8) with commas between them",
  )
  .transform((setting): TrustProxy => {
    if (setting === "off") return false;
    return /^[1-9]$/.test(setting) ? Number(setting) : setting.split(",").map((network) => network.trim());
  })
  .prefault("off");

function isNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.trim().split("/");
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

/**
 * Comma-separated, as browsers send them, `*.` in front of a host for every subdomain of it. An entry that could never match is refused: the page
 * would be blocked without any hint why.
 */
export const origins = z
  .string()
  .transform((list) => list.split(",").map((origin) => origin.trim()))
  .superRefine((list, { addIssue }) => {
    for (const origin of list) {
      const fault = originFault(origin);
      if (fault === null) continue;
      addIssue({ code: "custom", message: `"${origin}": ${fault}` });
      return;
    }
  })
  .optional()
  .transform((list) => list ?? []);

/** What apps in a web view have for an origin, such as `capacitor://localhost`: URL knows none for their schemes. */
const APP_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d{1,5})?$/;

/** Why no browser sends it, or why it must not be let in; null where it is good. */
function originFault(origin: string): string | null {
  if (origin === "") return "an origin is missing between commas";
  // With AUTH=off any page could then read and write.
  if (origin === "*") return "* would let every page in. Name the origins";
  if (origin === "null")
    return "null stands for many origins: local files, sandboxed frames. It cannot be let in";
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(origin))
    return `an origin begins with its scheme, such as https://${origin.replace(/^.*\//, "")}`;
  const one = origin.replace("://*.", "://any.");
  if (one.includes("*") || (one !== origin && !/^[^.]*(\.[^.]+){2,}$/.test(one)))
    return "*. may stand once, in front of at least two names: https://*.shop.example";
  if (!/^https?:/i.test(one)) return APP_ORIGIN.test(one) ? null : NO_ORIGIN;
  const sent = URL.parse(one)?.origin;
  if (sent === undefined) return NO_ORIGIN;
  return sent === one ? null : `${sent.replace("://any.", "://*.")} is what browsers send`;
}

const NO_ORIGIN = "this is no origin. It must be scheme://host or scheme://host:port, and no more";

/** Comma-separated names of headers, in lower case. */
export const headerNames = (fallback: readonly string[]) =>
  z
    .string()
    .transform((list) => list.split(",").map((name) => name.trim().toLowerCase()))
    .refine(
      (list) => list.every((name) => /^[a-z0-9!#$%&'+.^_`|~-]+$/.test(name)),
      "must be names of headers, with commas between them",
    )
    .prefault(fallback.join(","));

export const text = (fallback: string) => z.string().trim().min(1, "must not be empty").default(fallback);

/**
 * A secret is what it is, to the last character, or it is refused: the other side, which holds the same secret, may
 * have kept the line end of a mounted file or have cut it off, and the difference is invisible (docs/adr/0036).
 */
export const secret = z.string().refine((text) => text === text.trim(), {
  error: ({ input }) =>
    `${paddingOf(String(input))}, which is easily lost on the way: remove it, here and where else the secret is kept`,
});

const NAMES_OF_SPACES: Readonly<Record<string, string>> = {
  " ": "a space",
  "\t": "a tab",
  "\n": "a line feed",
  "\r": "a carriage return",
};

/** Says which white space stands at an end of a text that has some there. */
function paddingOf(text: string): string {
  const isInFront = text !== text.trimStart();
  const character = (isInFront ? text[0] : text.at(-1)) ?? "";
  const codePoint = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  return `${isInFront ? "begins" : "ends"} with ${NAMES_OF_SPACES[character] ?? `U+${codePoint}`}`;
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
