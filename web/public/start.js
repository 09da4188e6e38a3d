// Before the program of the page: the theme, and what the address will need.
(function () {
  try {
    var theme = localStorage.getItem("odum.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    if (localStorage.getItem("odum.sides") === "green") document.documentElement.dataset.sides = "green";
    if (localStorage.getItem("odum.density") === "roomy") document.documentElement.dataset.density = "roomy";
  } catch (_) {
    // Storage is switched off: the system's theme it is.
  }
  var run = /^\/runs\/([^/]+)\/?$/.exec(location.pathname);
  if (!run) return;
  function early(rel, href, as) {
    var link = document.createElement("link");
    link.rel = rel;
    if (as) link.as = as;
    link.crossOrigin = "";
    link.href = href;
    document.head.appendChild(link);
  }
  early("preload", "/api/v1/runs/" + run[1] + "/overview", "fetch");
  var parts = document.currentScript.dataset.run;
  if (parts) parts.split(" ").forEach(function (part) { early("modulepreload", part); });
})();
