import "graphiql/setup-workers/vite";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect } from "react";
import { createRoot } from "react-dom/client";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./style.css";
import { readConfig } from "./config.js";
import { createFetcher } from "./fetcher.js";
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
      defaultEditorToolsVisibility="variables"
      // A credential does not belong into localStorage; and so each load begins with the key of this server.
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        gus
        <SystemTheme />
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

// When the system turns dark or light, the page follows by itself but the editors' colours do not.
function SystemTheme() {
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(theme);
    dark.addEventListener("change", follow);
    return () => dark.removeEventListener("change", follow);
  }, [theme, setTheme]);
  return null;
}

createRoot(document.getElementById("graphiql")).render(page(readConfig(document)));
