import { useGraphiQL, useGraphiQLActions, useMonaco } from "@graphiql/react";
import { useEffect } from "react";

/** What GraphiQL leaves to be wished for. */
export function Look() {
  useSystemTheme();
  useReadableComments();
  useAllOfTheLastLine();
  return null;
}

// When the system turns dark or light, the page follows by itself but the editors' colours do not.
function useSystemTheme() {
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(theme);
    dark.addEventListener("change", follow);
    return () => dark.removeEventListener("change", follow);
  }, [theme, setTheme]);
}

export const EDITOR_THEME = { light: "graphiql-LIGHT", dark: "gus-dark" };

// The tabs teach by comments, and Monaco's dark ones have a contrast of 3.7. The rest is as GraphiQL's own dark theme.
function useReadableComments() {
  const monaco = useMonaco((state) => state.monaco);
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    monaco?.editor.defineTheme(EDITOR_THEME.dark, DARK);
    if (monaco) setTheme(theme);
  }, [monaco]);
}

const BACKGROUND = "#212a3b";
const PRIMARY = "#ff5794";
const DARK = {
  base: "vs-dark",
  inherit: true,
  rules: [
    { token: "comment", foreground: "#8fc07a" },
    { token: "argument.identifier.gql", foreground: "#908aff" },
  ],
  colors: {
    "editor.background": "#ffffff00",
    "scrollbar.shadow": "#ffffff00",
    "textLink.foreground": PRIMARY,
    "textLink.activeForeground": PRIMARY,
    "editorLink.activeForeground": PRIMARY,
    "editorHoverWidget.background": BACKGROUND,
    "editorSuggestWidget.background": BACKGROUND,
    "editorSuggestWidget.selectedBackground": `${PRIMARY}19`,
    "editorSuggestWidget.selectedForeground": PRIMARY,
    "list.hoverBackground": `${PRIMARY}19`,
    "list.highlightForeground": PRIMARY,
    "list.focusHighlightForeground": PRIMARY,
    "editorWidget.background": BACKGROUND,
    "menu.background": BACKGROUND,
    "menu.selectionBackground": `${PRIMARY}19`,
    "menu.selectionForeground": PRIMARY,
    "quickInput.background": BACKGROUND,
    "quickInputList.focusBackground": `${PRIMARY}19`,
    "quickInputList.focusForeground": "#ffffff",
    "input.background": "#b7c2d711",
    focusBorder: PRIMARY,
  },
};

// Monaco covers it with a scrollbar to some empty columns beside the longest line.
function useAllOfTheLastLine() {
  const editor = useGraphiQL((state) => state.queryEditor);
  useEffect(() => editor?.updateOptions({ scrollBeyondLastColumn: 0 }), [editor]);
}
