// The audits of graphql-http against the server of argv[2]; one line of JSON for each.
import { serverAudits } from "graphql-http";

for (const audit of serverAudits({ url: process.argv[2] })) {
  const result = await audit.fn();
  const { status, reason } = result;
  console.log(JSON.stringify({ id: audit.id, name: audit.name, status, reason }));
}
