"use strict";
// A chart's marks tell their value: under the pointer, and by the arrow keys once a chart has the focus.
(() => {
  const tip = document.getElementById("tip");
  const GAP = 10;

  const show = (mark) => {
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - width / 2;
    const above = at.top - height - GAP;
    tip.style.left = `${Math.max(GAP, Math.min(left, document.documentElement.clientWidth - width - GAP))}px`;
    tip.style.top = `${above < GAP ? at.bottom + GAP : above}px`;
  };
  const hide = () => { tip.hidden = true; };

  for (const plot of document.querySelectorAll(".plot")) {
    const marks = [...plot.querySelectorAll(".role-mark [aria-label]")];
    marks.forEach((mark, i) => {
      mark.setAttribute("tabindex", i ? "-1" : "0");
      mark.setAttribute("role", "img");
    });
    const go = (index) => {
      const next = marks[Math.max(0, Math.min(index, marks.length - 1))];
      marks.forEach((mark) => mark.setAttribute("tabindex", mark === next ? "0" : "-1"));
      next.focus();
    };
    plot.addEventListener("pointerover", (event) => {
      const mark = event.target.closest("[aria-label][tabindex]");
      if (mark) show(mark); else hide();
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("focusin", (event) => show(event.target));
    plot.addEventListener("focusout", hide);
    plot.addEventListener("keydown", (event) => {
      const here = marks.indexOf(document.activeElement);
      const to = {
        ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: marks.length,
      }[event.key];
      if (event.key === "Escape") hide();
      if (here < 0 || to === undefined) return;
      event.preventDefault();
      go(to);
    });
  }
  // A focus that scrolls its mark into view keeps its words.
  addEventListener("scroll", () => {
    const mark = document.activeElement.closest(".plot [aria-label][tabindex]");
    if (mark && !tip.hidden) show(mark); else hide();
  }, { passive: true });

  // On paper nothing can be pointed at: the tables are opened.
  const details = [...document.querySelectorAll("details")];
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = details.filter((one) => !one.open);
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();
