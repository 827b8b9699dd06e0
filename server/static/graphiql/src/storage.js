const PREFIX = "gus:";
const HISTORY = new Set(["graphiql:queries", "graphiql:favorites"]);

/**
 * localStorage under our own prefix: other projects' GraphiQL pages also live at localhost.
 * GraphiQL's history stores headers whatever shouldPersistHeaders says. Here it does not, and gives back `headers`.
 */
export function ownStorage(storage, headers) {
  const ownKeys = () => Object.keys(storage).filter((key) => key.startsWith(PREFIX));
  return {
    getItem(key) {
      const value = storage.getItem(PREFIX + key);
      return value !== null && HISTORY.has(key) ? withHeaders(value, headers) : value;
    },
    setItem: (key, value) => storage.setItem(PREFIX + key, HISTORY.has(key) ? withHeaders(value, null) : value),
    removeItem: (key) => storage.removeItem(PREFIX + key),
    get length() {
      return ownKeys().length;
    },
    clear: () => ownKeys().forEach((key) => storage.removeItem(key)),
  };
}

const withHeaders = (json, headers) =>
  JSON.stringify(JSON.parse(json), (key, value) => (key === "headers" ? headers : value));
