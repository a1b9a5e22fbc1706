/** The limits of the HTTP side, each with its unit. A request's body is bounded by BODY_BYTES_MAX of domain/limits. */

/** All headers of a request together. A token, cookies of a shared domain and a proxy's additions fit. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** From a connection's first byte to the end of the headers: a slow sender holds a socket no longer. */
export const HEADERS_MS_MAX = 10_000;
/** How often connections are held against the two limits here. */
export const CONNECTIONS_CHECK_MS = 5_000;
/** From a request's first byte to its last: 256 KiB over a bad mobile connection. */
export const REQUEST_MS_MAX = 30_000;
/** Bodies that have arrived in part, of all requests together: a hundred of the largest. Most arrive in one piece. */
export const BODIES_BYTES_MAX = 32 * 1024 * 1024;
/** One answer. 1,000 candidates for each of 100 users are 4 MB where ids are UUIDs. */
export const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** Answers that are being sent, of all connections together. */
export const ANSWERS_BYTES_MAX = 64 * 1024 * 1024;
/** From an answer's first byte to its last: a reader that does not read holds it no longer. */
export const ANSWERS_MS_MAX = 30_000;
/** Addresses whose requests are counted; 200 bytes each. Beyond it the one heard longest ago is forgotten. */
export const RATE_LIMITED_ADDRESSES_MAX = 50_000;
/** How long browsers may remember the answer to a preflight; Chromium caps it at two hours. */
export const PREFLIGHT_S_MAX = 7_200;
/** How long an idle connection is kept: longer than the usual 60 s of load balancers, so that they close first. */
export const KEEP_ALIVE_MS = 65_000;
/** How long `close` lets requests finish before it cuts their connections. */
export const DRAIN_MS_MAX = 10_000;
/** Parsed and validated documents that are kept, by number and by the length of their texts (see DOCUMENT_BYTES_A_CHARACTER). */
export const DOCUMENTS_MAX = 1_000;
export const DOCUMENT_CHARACTERS_MAX = 1024 * 1024;
/** A longer document is parsed each time: it spells its values out and will not come again. */
export const STORED_DOCUMENT_CHARACTERS_MAX = 16 * 1024;
/** Errors about variables in one answer. */
export const VARIABLE_ERRORS_MAX = 20;
/** Errors that validation finds in one document before it gives up. */
export const VALIDATION_ERRORS_MAX = 20;
/** Errors in one answer: one for each of 100 users. One more says how many there were. */
export const ERRORS_MAX = 100;
/**
 * In a longer document errors are reported without their places. graphql-js looks for each place from the document's first line on (65 to
 * 100 ns a line, measured), and one error may have as many places as the document has arguments.
 */
export const LOCATED_CHARACTERS_MAX = 4 * 1024;
export const LOCATED_LINES_MAX = 256;
/** Good answers of an operation before it is compiled: most documents that come once never come again. */
export const GOOD_ANSWERS_TO_COMPILE = 2;
/** Selections of one compiled operation, every fragment spelled out where it is spread. */
export const COMPILED_SELECTIONS_MAX = 1_000;
/** What compiled operations hold together, each counted by the two numbers here; the least recently used leave first. */
export const COMPILED_BYTES_MAX = 16 * 1024 * 1024;
/** Measured on a page with every field, as is the next. */
export const COMPILED_SELECTION_BYTES = 350;
/** A parsed document, by the length of its text. */
export const DOCUMENT_BYTES_A_CHARACTER = 90;
