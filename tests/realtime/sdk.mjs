// The public client of the API against our server: graphql() and realtime(), writing at one address, listening at another.
const { sdk, WebSocket, given } = await import(process.argv[2]);
const [reading, writing] = given;

const token = sdk.staticToken("admin-static-token");
const writer = sdk.createDirectus(writing).with(token).with(sdk.rest()).with(sdk.graphql());
const said = [await writer.query("{ headings { text } }")];
const url = `${reading.replace("http", "ws")}/websocket`;
const reader = sdk
  .createDirectus(reading, { globals: { WebSocket } })
  .with(token)
  .with(sdk.realtime({ authMode: "handshake", url }));
await reader.connect();
const { subscription, unsubscribe } = await reader.subscribe("headings", { query: { fields: ["text"] } });

// Each write waits for the news of the one before: an item that is gone before it is read for an event is told as gone only.
// Nobody waits for a write: the client forgets messages that arrive while its reader is busy.
let made;
let last = Promise.resolve();
const writes = {
  init: async () => (made = await writer.request(sdk.createItem("headings", { text: "by the client" }))),
  create: () => writer.request(sdk.updateItem("headings", made.id, { text: "changed" })),
  update: () => writer.request(sdk.deleteItem("headings", made.id)),
};
for await (const message of subscription) {
  console.error("heard", JSON.stringify(message));
  said.push([message.event, message.event === "delete" ? message.data.length : message.data]);
  if (message.event === "delete") break;
  last = last.then(writes[message.event]);
}
unsubscribe();
reader.disconnect();
console.log(JSON.stringify(said));
process.exit(0);
