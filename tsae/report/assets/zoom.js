// On touch screens one finger moves, two fingers zoom; a vertical swipe still scrolls the page.

function touchZoom(view) {
  return {
    hooks: {
      ready: (u) => {
        const over = u.over;
        over.classList.add("touch");
        let began = null;
        const at = (touch) => (touch.clientX - over.getBoundingClientRect().left) / over.clientWidth;
        const read = (event) => {
          const xs = [...event.touches].map(at);
          return { x: xs.reduce((a, b) => a + b) / xs.length, spread: xs.length > 1 ? Math.abs(xs[1] - xs[0]) : 0, n: xs.length };
        };
        const start = (event) => {
          began = event.touches.length ? { ...read(event), min: u.scales.x.min, max: u.scales.x.max } : null;
        };
        over.addEventListener("touchstart", start, { passive: true });
        over.addEventListener("touchend", start, { passive: true });
        over.addEventListener("touchmove", (event) => {
          if (!began) return;
          const now = read(event);
          if (now.n !== began.n) return start(event);
          const span = began.max - began.min;
          const factor = now.n > 1 && now.spread > 0.02 ? Math.min(Math.max(began.spread / now.spread, 0.05), 20) : 1;
          const min = began.min + began.x * span - now.x * span * factor;
          view(min, min + span * factor);
        }, { passive: true });
      },
    },
  };
}
