// Rows that are kept while what they are about is there, so that a button in one keeps its focus.

export class Table {
  /** `cells(item)` are the texts of a row, an array for one of numbers; `act(item)` is its button: a label and what
   * it does, or null. */
  constructor(body, key, cells, act = null) {
    this.body = body;
    this.key = key;
    this.cells = cells;
    this.act = act;
    this.rows = new Map();
  }

  show(items) {
    const left = new Set(this.rows.keys());
    items.forEach((item, place) => {
      const key = this.key(item);
      left.delete(key);
      let row = this.rows.get(key);
      if (row === undefined) {
        row = document.createElement("tr");
        this.rows.set(key, row);
      }
      this.fill(row, item);
      if (this.body.children[place] !== row) this.body.insertBefore(row, this.body.children[place] ?? null);
    });
    for (const key of left) {
      this.rows.get(key).remove();
      this.rows.delete(key);
    }
  }

  fill(row, item) {
    const texts = this.cells(item);
    texts.forEach((text, place) => {
      const cell = row.cells[place] ?? row.insertCell();
      const said = Array.isArray(text) ? text[0] : text;
      if (Array.isArray(text)) cell.className = "number";
      if (cell.textContent !== said) cell.textContent = said;
    });
    if (this.act === null) return;
    const cell = row.cells[texts.length] ?? row.insertCell();
    const action = this.act(item);
    if (action === null) {
      cell.replaceChildren();
      return;
    }
    let button = cell.firstChild;
    if (button === null) {
      button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => button.action());
      cell.append(button);
    }
    const [label, name, does] = action;
    if (button.textContent !== label) button.textContent = label;
    button.setAttribute("aria-label", name);
    button.action = does;
  }
}
