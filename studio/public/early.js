// Asks for what every page needs while the application is still being loaded; the client takes the answers up instead of
// asking again (src/api/early.ts). A file of its own because it must not wait for the modules, and the CSP forbids inline
// scripts. tests/early.test.ts sees to it that the addresses are the ones that the application asks for.
(function () {
  var folder = new URL(document.baseURI).pathname;
  var root = new URL("../", document.baseURI).pathname;
  var page = location.pathname.slice(folder.length);
  var answers = (window.tabularyEarly = {});
  function ask(path) {
    var answer = fetch(root + path, { credentials: "same-origin" });
    answer.catch(function () {}); // whoever takes it hears of it
    answers[root + path] = answer;
  }

  ask("server/info");
  if (/^(login|logout|setup|reset-password|accept-invite|register|shared)(\/|$)/.test(page)) return;
  ask("users/me?fields=id%2Cfirst_name%2Clast_name%2Cemail%2Cavatar%2Clanguage%2Cappearance%2Crole%2Cstatus%2Ctfa_secret%2Clast_page%2Ctext_direction");
  ask("permissions/me");
  ask("policies/me/globals");
  ask("collections");
  ask("fields");
  ask("relations");
  var list = /^content\/([^/]+)\/?$/.exec(page);
  if (!list) return;
  var own = { collection: { _eq: decodeURIComponent(list[1]) }, user: { _eq: "$CURRENT_USER" }, bookmark: { _null: true } };
  ask("presets?filter=" + encodeURIComponent(JSON.stringify(own)) + "&fields=id%2Clayout_query&limit=1");
})();
