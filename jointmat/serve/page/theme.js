// Before anything is painted: the theme that was chosen on an earlier visit; without one, the system's holds.
{
  const root = document.documentElement;
  // Where the browser blocks the storage, what is chosen holds as long as the page.
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen) root.dataset.theme = chosen;
  } catch { }

  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      root.dataset.theme = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { }
    });
  });
}
