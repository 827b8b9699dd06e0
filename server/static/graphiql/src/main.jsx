import "graphiql/setup-workers/vite";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./style.css";
import { readConfig } from "./config.js";
import { createFetcher } from "./fetcher.js";
import { EDITOR_THEME, Look } from "./look.jsx";
import { ownStorage } from "./storage.js";
import { defaultTabs, openingTab } from "./tabs.js";

const PLUGINS = [HISTORY_PLUGIN, explorerPlugin()];

function page(config) {
  const headers = config.headers && JSON.stringify(config.headers, null, 2);
  const storage = ownStorage(localStorage, headers);
  const tabs = defaultTabs(headers);
  const opening = openingTab(storage, tabs);
  return (
    <GraphiQL
      fetcher={createFetcher(config)}
      storage={storage}
      plugins={PLUGINS}
      defaultTabs={tabs}
      initialQuery={opening.query ?? ""}
      initialVariables={opening.variables ?? ""}
      initialHeaders={headers ?? ""}
      defaultHeaders={headers ?? ""}
      editorTheme={EDITOR_THEME}
      schemaDescription
      defaultEditorToolsVisibility="variables"
      // A credential does not belong into localStorage; and so each load begins with the key of this server.
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        gus
        <Look />
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

createRoot(document.getElementById("graphiql")).render(page(readConfig(document)));
