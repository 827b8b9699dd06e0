// A line to the server that can be cut: every connection through it ends at once, as when a train enters a tunnel.
import { connect, createServer } from "node:net";

export async function cuttable(origin) {
  const { hostname, port } = new URL(origin);
  const open = new Set();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("error", () => {}).on("close", () => (open.delete(one), other.destroy()));
      one.pipe(other);
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { origin: `http://127.0.0.1:${server.address().port}`, cut: () => open.forEach((socket) => socket.destroy()) };
}
