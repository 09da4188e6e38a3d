// Before the first paint: a chosen theme must not flash.
(function () {
  try {
    var theme = localStorage.getItem("odum.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    if (localStorage.getItem("odum.sides") === "green") document.documentElement.dataset.sides = "green";
    if (localStorage.getItem("odum.density") === "roomy") document.documentElement.dataset.density = "roomy";
  } catch (_) {
    // Storage is switched off: the system's theme it is.
  }
})();
