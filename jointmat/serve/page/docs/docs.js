// Swagger UI, from a Python package instead of a CDN, in the theme of the demo page.
let theme = null;
try { theme = localStorage.getItem("theme"); } catch { } // the browser may block it
const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.classList.toggle("dark-mode", dark);

SwaggerUIBundle({
  dom_id: "#docs",
  url: "../openapi.json",
  deepLinking: true,
  defaultModelsExpandDepth: -1, // each request shows its own
  validatorUrl: null,
});
