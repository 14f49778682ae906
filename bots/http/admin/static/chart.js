// A chart of lines over the last hour, or as long as there is something to show, as SVG. It is drawn anew for each
// point; nothing in it can be focused.

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 360, HEIGHT = 130, LEFT = 44, BOTTOM = 18, TOP = 8;
const LEAST_SPAN = 300, HOUR = 3600;

function element(name, attributes, text) {
  const made = document.createElementNS(SPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The least of 1, 2, 5, 10, 20, … that is not below `most`. */
function ceiling(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most * 0.999);
}

export class Chart {
  /** `series(points)` gives a name and a value (or null) of each point for each line; `show` writes a value. */
  constructor(title, series, show) {
    this.series = series;
    this.show = show;
    this.title = title;
    this.figure = document.createElement("figure");
    this.caption = document.createElement("figcaption");
    this.caption.textContent = title;
    this.legend = document.createElement("ul");
    this.svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    this.figure.append(this.caption, this.svg, this.legend);
  }

  draw(points, now) {
    const lines = this.series(points);
    const values = lines.flatMap(([, line]) => line.filter((value) => value !== null));
    const most = ceiling(Math.max(0, ...values));
    const span = Math.min(HOUR, Math.max(LEAST_SPAN, now - (points[0]?.at ?? now)));
    const x = (at) => LEFT + (WIDTH - LEFT) * Math.max(0, 1 - (now - at) / span);
    const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value / most);
    const drawn = [];
    for (const [share, end] of [[0, "0"], [1, this.show(most)]]) {
      const height = y(share * most);
      drawn.push(element("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: height, y2: height }));
      drawn.push(element("text", { class: "scale", x: LEFT - 6, y: height + 4, "text-anchor": "end" }, end));
    }
    for (const [ago, anchor] of [[span, "start"], [0, "end"]]) {
      const text = ago ? `−${Math.round(ago / 60)} min` : "now";
      const place = { class: "scale", x: x(now - ago), y: HEIGHT - 4, "text-anchor": anchor };
      drawn.push(element("text", place, text));
    }
    lines.forEach(([, line], number) => {
      let path = "", joined = false;
      line.forEach((value, i) => {
        if (value !== null) path += `${joined ? "L" : "M"}${x(points[i].at).toFixed(1)} ${y(value).toFixed(1)}`;
        joined = value !== null;
      });
      drawn.push(element("path", { class: `curve series-${number % 5}`, d: path || "M0 0" }));
    });
    this.svg.replaceChildren(...drawn);
    this.tell(lines);
  }

  tell(lines) {
    const said = lines.map(([name, line]) => {
      const last = line.at(-1) ?? null;
      return `${name} ${last === null ? "–" : this.show(last)}`;
    });
    this.legend.replaceChildren(...said.map((text, number) => {
      const item = document.createElement("li");
      item.className = `series-${number % 5}`;
      item.textContent = text;
      return item;
    }));
    this.svg.setAttribute("aria-label", `${this.title}, the last hour. Now: ${said.join(", ") || "nothing"}`);
  }
}
