// The public JavaScript client as people use it: accounts, items and files. Each step prints what it saw.
const { sdk, given } = await import(process.argv[2]);
const [url, step, ...rest] = given;

const ADMIN = { email: "admin@example.com", password: "password" };

/** A fetch that keeps cookies, as browsers do and Node does not. */
function browser() {
  const jar = new Map();
  const seen = [];
  const fetching = async (address, options = {}) => {
    const headers = new Headers(options.headers);
    if (jar.size) headers.set("cookie", [...jar].map((pair) => pair.join("=")).join("; "));
    const answer = await fetch(address, { ...options, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split("; ");
      const [name, value] = pair.split("=");
      seen.push([name, attributes.includes("HttpOnly")]);
      if (value && !attributes.includes("Max-Age=0")) jar.set(name, value);
      else jar.delete(name);
    }
    return answer;
  };
  return { fetching, jar, seen };
}

const refused = (call) => call.then(() => "let in", (problem) => problem.errors?.[0]?.extensions?.code ?? String(problem));
const staff = () => sdk.createDirectus(url).with(sdk.staticToken("admin-static-token")).with(sdk.rest());

const steps = {
  async json() {
    const client = sdk.createDirectus(url).with(sdk.authentication("json", { autoRefresh: false })).with(sdk.rest());
    const wrong = await refused(client.login({ ...ADMIN, password: "wrong" }));
    const { access_token, refresh_token, expires } = await client.login(ADMIN);
    const me = await client.request(sdk.readMe({ fields: ["email", { role: ["name"] }] }));
    const next = await client.refresh();
    const again = await client.request(sdk.readMe({ fields: ["email"] }));
    await client.logout();
    const spent = await refused(fetchJson("/auth/refresh", { refresh_token: next.refresh_token, mode: "json" }));
    return { wrong, expires, me, again, rotated: next.refresh_token !== refresh_token, signed: access_token.split(".").length, spent };
  },
  async session() {
    const { fetching, jar, seen } = browser();
    const client = sdk
      .createDirectus(url, { globals: { fetch: fetching } })
      .with(sdk.authentication("session", { credentials: "include", autoRefresh: false }))
      .with(sdk.rest({ credentials: "include" }));
    await client.login(ADMIN);
    const me = await client.request(sdk.readMe({ fields: ["email"] }));
    const token = await client.getToken();
    await client.refresh();
    const again = await client.request(sdk.readMe({ fields: ["email"] }));
    await client.logout();
    const out = await refused(client.request(sdk.readMe()));
    return { me, again, token, out, left: jar.size, seen: [...new Set(seen.map(String))] };
  },
  async cookie() {
    const { fetching, jar, seen } = browser();
    const client = sdk
      .createDirectus(url, { globals: { fetch: fetching } })
      .with(sdk.authentication("cookie", { credentials: "include", autoRefresh: false }))
      .with(sdk.rest());
    const { refresh_token } = await client.login(ADMIN);
    const first = jar.get("directus_refresh_token");
    await client.refresh();
    const me = await client.request(sdk.readMe({ fields: ["email"] }));
    const changed = jar.get("directus_refresh_token") !== first;
    await client.logout();
    return { hidden: refresh_token ?? null, changed, me, left: jar.size, seen: [...new Set(seen.map(String))] };
  },
  async users() {
    const client = staff();
    const role = await client.request(sdk.createRole({ name: "Editors" }, { fields: ["id", "name"] }));
    const made = await client.request(sdk.createUser({ email: "ada@example.org", password: "secret", role: role.id }, { fields: ["id"] }));
    const changed = await client.request(sdk.updateUser(made.id, { title: "Countess" }, { fields: ["title", { role: ["name"] }] }));
    const found = await client.request(sdk.readUsers({ filter: { role: { name: { _eq: "Editors" } } }, fields: ["email"] }));
    const twice = await refused(client.request(sdk.createUser({ email: "ADA@example.org" })));
    await client.request(sdk.deleteUser(made.id));
    const left = await client.request(sdk.readUsers({ filter: { email: { _eq: "ada@example.org" } } }));
    return { changed, found, twice, left };
  },
  async invite() {
    const client = staff();
    const role = await client.request(sdk.createRole({ name: "Guests" }, { fields: ["id"] }));
    await client.request(sdk.inviteUser("guest@example.org", role.id, "http://app.example.com/invite"));
    return client.request(sdk.readUsers({ filter: { email: { _eq: "guest@example.org" } }, fields: ["status"] }));
  },
  async accept(token) {
    const client = sdk.createDirectus(url).with(sdk.authentication("json", { autoRefresh: false })).with(sdk.rest());
    await client.request(sdk.acceptUserInvite(token, "my own words"));
    const twice = await refused(client.request(sdk.acceptUserInvite(token, "other words")));
    const { access_token } = await client.login({ email: "guest@example.org", password: "my own words" });
    return { twice, signed: access_token.split(".").length };
  },
  async items() {
    const client = staff();
    const author = await client.request(sdk.createItem("authors", { name: "Mary", books: [{ title: "Mathilda" }, { title: "Lodore" }] }));
    const books = await client.request(
      sdk.readItems("books", {
        fields: ["title", { author: ["name"] }],
        filter: { author: { name: { _eq: "Mary" } } },
        sort: ["-title"],
      }),
    );
    const nested = await client.request(
      sdk.readItem("authors", author.id, {
        fields: ["name", { books: ["title"] }],
        deep: { books: { _sort: ["title"], _limit: 1 } },
      }),
    );
    const counted = await client.request(sdk.aggregate("books", { aggregate: { count: "*" }, query: { filter: { author: { _eq: author.id } } } }));
    const missing = await refused(client.request(sdk.readItem("books", 4711)));
    return { books, nested, counted: Number(counted[0].count), missing }; // PostgreSQL counts in text
  },
  async files() {
    const client = staff();
    const form = new FormData();
    form.append("title", "A note");
    form.append("file", new Blob(["Hello"], { type: "application/x-note" }), "note.bin");
    const file = await client.request(sdk.uploadFiles(form, { fields: ["id", "title", "type", "filesize", "filename_download"] }));
    const content = Buffer.from(await client.request(sdk.readAssetArrayBuffer(file.id))).toString();
    const renamed = await client.request(sdk.updateFile(file.id, { title: "Note" }, { fields: ["title"] }));
    await client.request(sdk.deleteFile(file.id));
    const gone = await refused(client.request(sdk.readFile(file.id)));
    return { file: { ...file, id: typeof file.id, filesize: Number(file.filesize) }, content, renamed, gone };
  },
};

async function fetchJson(path, body) {
  const answer = await fetch(url + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw told;
  return told;
}

console.log(JSON.stringify(await steps[step](...rest)));
