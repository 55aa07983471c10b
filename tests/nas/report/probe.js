// What `test_in_browser.py` looks at, from within the page; the answer goes to the frame around it.
addEventListener("load", () => setTimeout(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const lines = (element) => {
    const range = document.createRange(); range.selectNodeContents(element);
    const on_end = getComputedStyle(element).writingMode.startsWith("vertical");
    const rects = [...range.getClientRects()].filter((r) => r.width);
    return new Set(rects.map((r) => Math.round((on_end ? r.left : r.top) / 8))).size;
  };
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const contrast = (element) => {
    const behind = [];
    for (let up = element; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
    const back = light(over(behind)), front = light(over([...behind, getComputedStyle(element).color]));
    return (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
  };
  const named = (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim() || (e.labels && e.labels.length);
  const texts = all("main *, header *").filter((e) => !e.closest("svg, #plot, .hidden")
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && e.getClientRects().length);
  const ids = all("[id]").map((e) => e.id).filter((id) => !id.includes("-defs") && !/^(clip|legend|g[0-9]|top)/.test(id));
  parent.postMessage(JSON.stringify({
    errors: window.errors, dark: matchMedia("(prefers-color-scheme: dark)").matches,
    width: innerWidth, wanted: document.documentElement.scrollWidth,
    loose: all("table").filter((t) => t.getBoundingClientRect().right > innerWidth + 1 && !t.closest(".scroll")).length,
    broken: all(".confusion th").filter((th) => lines(th.querySelector("span") || th) > 1).map((th) => th.textContent),
    // Cells of some words of which hardly one stands on a line.
    thin: all("td, th").filter((cell) => !cell.closest(".hidden") && cell.innerText.trim().split(/\s+/).length > 5
      && lines(cell) > 0.7 * cell.innerText.trim().split(/\s+/).length).map((cell) => cell.innerText.slice(0, 60)),
    // Names that run into what explains them.
    merged: all("th > small, td > small").filter((small) => {
      const before = small.previousSibling, range = document.createRange();
      if (!before || !before.textContent.trim() || /\s$/.test(before.textContent)) return false;
      range.selectNodeContents(before);
      const rects = [...range.getClientRects()].filter((r) => r.width), last = rects[rects.length - 1];
      return last && small.getBoundingClientRect().top < last.bottom - 4 && !/^\s/.test(small.textContent);
    }).map((small) => small.parentElement.textContent.slice(0, 60)),
    barless: all(".meter, .range").filter((bar) => bar.getBoundingClientRect().width < 40).map((bar) => bar.getAttribute("aria-label")),
    panels: all("#plot .subplot").length,
    faint: texts.filter((e) => contrast(e) < (parseFloat(getComputedStyle(e).fontSize) >= 24 ? 3 : 4.5))
      .map((e) => e.tagName + " " + e.textContent.trim().slice(0, 40) + " " + contrast(e).toFixed(2)),
    nameless: all("a, button, input, [role=img], [role=region]").filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 90)),
    headless: all("table").filter((t) => !t.caption || !t.querySelector("th[scope]")).length,
    twice: ids.filter((id, index) => ids.indexOf(id) !== index),
    headings: all("h1, h2, h3").map((h) => Number(h.tagName[1])),
    lost: all("a[href^='#']").filter((a) => !document.getElementById(a.hash.slice(1))).map((a) => a.hash),
    sections: all("main section").map((s) => s.id),
  }), "*");
}, 0));
