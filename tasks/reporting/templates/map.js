// Shows the picture of the nearest dot of a map, cut out of one image of all pictures.
const LARGEST = 112; // pixels of a shown picture
for (const maps of document.querySelectorAll(".maps")) {
  const thumb = maps.querySelector(".thumb");
  const [frame, words] = [thumb.querySelector("div"), thumb.querySelector("span")];
  const image = frame.querySelector("img");
  const [columns, rows, width, height] = ["columns", "rows", "width", "height"].map(
    (name) => Number(thumb.dataset[name]));
  const names = JSON.parse(thumb.dataset.words);
  const scale = LARGEST / Math.max(width, height);
  const drawings = [...maps.querySelectorAll("svg.map")];
  const dots = drawings.map((one) => [...one.querySelectorAll("circle")]);
  let chosen = -1;
  frame.style.width = `${width * scale}px`;
  frame.style.height = `${height * scale}px`;
  image.style.width = `${columns * width * scale}px`;
  image.style.height = `${rows * height * scale}px`;

  function choose(index) {
    if (index === chosen) return;
    for (const of of dots) {
      of[chosen]?.classList.remove("chosen");
      of[index]?.classList.add("chosen");
    }
    chosen = index;
    thumb.hidden = index === -1;
    if (index === -1) return;
    image.style.left = `${-(index % columns) * width * scale}px`;
    image.style.top = `${-Math.floor(index / columns) * height * scale}px`;
    words.textContent = names[index];
  }

  drawings.forEach((drawing, place) => {
    const points = dots[place].map((dot) => [dot.cx.baseVal.value, dot.cy.baseVal.value]);
    function follow(event) {
      const matrix = drawing.getScreenCTM().inverse();
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
      let [nearest, least] = [-1, 15 ** 2];
      points.forEach(([x, y], index) => {
        const distance = (x - at.x) ** 2 + (y - at.y) ** 2;
        if (distance < least) [nearest, least] = [index, distance];
      });
      choose(nearest);
      const left = event.clientX + 16 + thumb.offsetWidth > innerWidth;
      thumb.style.left = `${event.clientX + (left ? -16 - thumb.offsetWidth : 16)}px`;
      thumb.style.top = `${Math.max(0, event.clientY - thumb.offsetHeight - 8)}px`;
    }
    drawing.addEventListener("pointermove", follow);
    drawing.addEventListener("pointerdown", follow);
    drawing.addEventListener("pointerleave", () => choose(-1));
  });
}
