/** What the server wrote into the page: {"headers": {"Authorization": "Bearer ..."} | null}. */
export function readConfig(document) {
  const content = document.querySelector('meta[name="gus-config"]').content;
  return { headers: JSON.parse(content).headers ?? null };
}
