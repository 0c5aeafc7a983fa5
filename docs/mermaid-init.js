// Draws the diagrams of a page, which are its blocks of code in the language mermaid.

for (const code of document.querySelectorAll("code.language-mermaid")) {
  const diagram = document.createElement("div");
  diagram.className = "mermaid";
  diagram.textContent = code.textContent;
  code.parentElement.replaceWith(diagram);
}

const isDark = ["ayu", "coal", "navy"].some((theme) => document.documentElement.classList.contains(theme));
mermaid.initialize({ startOnLoad: false, theme: isDark ? "dark" : "default" });
mermaid.run();
