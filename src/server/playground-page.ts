import { type DocumentedOperation, NOW_PLACEHOLDER } from "./operations.ts";
import type { TrustedMode } from "./trusted-documents.ts";

/**
 * What the page may do: nothing but run its own scripts and talk to its own origin. GraphiQL sets styles inline and
 * carries its fonts and images as data.
 */
export const PLAYGROUND_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src data:",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * GraphiQL leaves a stale offset on the tabs that it opens with, and its own style sheet hides it only until a tab has
 * the focus: a tab that is clicked would jump away from under the pointer before it takes the click.
 */
const TABS_STAY = ".graphiql-tab { transform: none !important; }";

const LAYOUT = `
html, body { height: 100%; margin: 0; } body { display: flex; flex-direction: column; } #root { flex: 1; min-height: 0; }
[role=note] { margin: 0; padding: .5rem 1rem; font: 14px/1.4 system-ui, sans-serif; color: #1f2430; background: #ffe9a8; }`;

const ONLY_TRUSTED = `<p role="note"><strong>Only trusted documents run here</strong> (TRUSTED_DOCUMENTS=only): the tabs as
they stand, with any variables. A query that you change or write is refused.</p>`;

/** Addresses are relative, so that the page also works below a prefix that a proxy adds. */
export function playgroundPage(mode: TrustedMode): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Impressions playground</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="playground/graphiql.css">
<style>${LAYOUT} ${TABS_STAY}</style>
</head>
<body>
<noscript>The playground needs JavaScript.</noscript>
${mode === "only" ? ONLY_TRUSTED : ""}
<div id="root"></div>
<script src="playground/graphiql.js"></script>
<script src="playground/start.js"></script>
</body>
</html>
`;
}

/** Starts GraphiQL in the page, with one tab for each operation where the browser has none stored. */
export function startScript(operations: readonly DocumentedOperation[], mode: TrustedMode): string {
  const tabs = operations.map(({ query, variables }) => ({
    query: query.trim(),
    variables: variables.trim(),
  }));
  return `"use strict";
const now = new Date().toISOString();
const tabs = ${JSON.stringify(tabs)};
for (const tab of tabs) tab.variables = tab.variables.replaceAll(${JSON.stringify(NOW_PLACEHOLDER)}, now);

function storedTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState"));
    return tabs[activeTabIndex];
  } catch {
    return undefined;
  }
}
// GraphiQL fills its editors from these two and not from the tab. It stores them later than the tab, too, and where they
// differ it opens one tab more: so they are made to agree before it starts.
const active = storedTab() ?? tabs[0];
localStorage.setItem("graphiql:query", active?.query ?? "");
localStorage.setItem("graphiql:variables", active?.variables ?? "");

const workers = { graphql: "graphql.worker.js", json: "json.worker.js" };
self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) =>
    new URL("playground/" + (workers[label] ?? "editor.worker.js"), document.baseURI).href,
};

const endpoint = new URL("graphql", document.baseURI);
const onlyTrusted = ${mode === "only"};
async function fetcher({ operationName, ...request }, options) {
  if (onlyTrusted && operationName === "IntrospectionQuery") {
    const schema = await fetch(new URL("playground/schema.json", document.baseURI));
    if (schema.ok) return schema.json();
  }
  // GraphiQL learns a tab's operation name a moment after it shows the tab; until then it sends that of the tab before.
  if (operationName && request.query.split(/\\W/).includes(operationName)) request.operationName = operationName;
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/json", ...options?.headers },
    body: JSON.stringify(request),
  });
  return response.json();
}

YogaGraphiQL.renderYogaGraphiQL(document.querySelector("#root"), {
  title: "Impressions",
  logo: " ",
  defaultTabs: tabs,
  fetcher,
  shouldPersistHeaders: false,
  // The default writes every keystroke into the address bar.
  onEditQuery() {},
});
`;
}
