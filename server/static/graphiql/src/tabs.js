import send from "./tabs/1-send.graphql?raw";
import stream from "./tabs/2-stream.graphql?raw";
import branch from "./tabs/3-branch.graphql?raw";
import tree from "./tabs/4-tree.graphql?raw";
import edit from "./tabs/5-edit.graphql?raw";
import compare from "./tabs/6-compare.graphql?raw";
import json from "./tabs/7-json.graphql?raw";
import whatWasSent from "./tabs/8-what-was-sent.graphql?raw";
import preview from "./tabs/9-preview.graphql?raw";
import modelsAndMe from "./tabs/10-models-and-me.graphql?raw";

const STORIES = [
  [send, { input: { text: "What is a tree?", idempotencyKey: "@uuid" } }],
  [stream, { generation: "@last.generation" }],
  [
    branch,
    {
      input: {
        conversation: "@first.conversation",
        parent: "@first.reply",
        text: "And what is a leaf?",
        idempotencyKey: "@uuid",
      },
    },
  ],
  [tree, { conversation: "@last.conversation" }],
  [
    edit,
    {
      input: {
        message: "@last.userMessage",
        text: "And what is a root?",
        idempotencyKey: "@uuid",
      },
    },
  ],
  [
    compare,
    {
      conversation: "@last.conversation",
      a: "@previous.reply",
      b: "@last.reply",
    },
  ],
  [json, { text: "Describe an oak, in JSON.", key: "@uuid" }],
  [whatWasSent, { generation: "@last.generation" }],
  [
    preview,
    {
      input: {
        text: "What is a tree?",
        newConversation: { contextPolicy: { maxInputTokens: 20 } },
      },
    },
  ],
  [modelsAndMe, null],
];

export function defaultTabs(headers) {
  return STORIES.map(([query, variables]) => ({
    query,
    variables: variables && JSON.stringify(variables, null, 2),
    headers,
  }));
}

/** The tab to begin with. GraphiQL itself fills only the first tab's query and forgets its variables. */
export function openingTab(storage, tabs) {
  try {
    const stored = JSON.parse(storage.getItem("graphiql:tabState"));
    return stored.tabs[stored.activeTabIndex] ?? tabs[0];
  } catch {
    return tabs[0];
  }
}
