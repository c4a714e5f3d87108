// The document is made for whoever asks, so it is fetched with the token typed above, or with the session cookie.
// The token stays in this tab; it is sent to this server only.
(() => {
  "use strict";
  const KEY = "tabulary.docs.token";
  const field = document.getElementById("token");
  field.value = sessionStorage.getItem(KEY) ?? "";

  const show = () => {
    const token = field.value.trim();
    SwaggerUIBundle({
      dom_id: "#viewer",
      url: new URL("server/specs/oas", document.baseURI).href,
      deepLinking: true,
      docExpansion: "none",
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
      requestInterceptor: (request) => {
        const own = new URL(request.url, document.baseURI).origin === location.origin;
        if (own && token) request.headers.Authorization = `Bearer ${token}`;
        request.credentials = own ? "same-origin" : "omit";
        return request;
      },
    });
  };

  document.getElementById("who").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, field.value.trim());
    show();
  });
  show();
})();
