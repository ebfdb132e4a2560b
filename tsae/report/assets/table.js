// Tables that are sorted by their heads and walked through by keys: arrows, Home and End move, Enter opens.

// columns: {name, value, isNumber, isPlain, className, cell}; a cell makes a text or an element. Rows are objects with an id.
function makeTable(table, { columns, rows, order, open, key, limit }) {
  const body = table.tBodies[0];
  let current = null, cursor = null, shown = [], most = limit;
  const heads = columns.map((column, i) => {
    const head = element("th", undefined, column.className);
    head.scope = "col";
    if (column.isPlain) head.append(column.name);
    else {
      const button = element("button", column.name);
      head.dataset.name = column.name; // printed instead of the button, which is not repeated on later pages
      button.onclick = () => {
        order = [i, order[0] === i ? -order[1] : column.isNumber ? -1 : 1];
        fill();
      };
      head.append(button);
    }
    return head;
  });
  const headRow = element("tr");
  headRow.append(...heads);
  table.tHead.append(headRow);

  function sorted() {
    const [i, sign] = order, value = columns[i].value;
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    return rows().slice().sort((a, b) => sign * compare(value(a) ?? -Infinity, value(b) ?? -Infinity) || a.id - b.id);
  }
  function makeRow(item) {
    const row = element("tr");
    row.dataset.id = item.id;
    for (const column of columns) {
      const cell = element("td", undefined, column.className);
      cell.append(column.cell ? column.cell(item) : column.value(item));
      row.append(cell);
    }
    return row;
  }
  const rowOf = (item) => (item ? body.querySelector(`tr[data-id="${item.id}"]`) : null);
  function showState() {
    if (!shown.includes(cursor)) cursor = shown.includes(current) ? current : shown[0];
    for (const row of body.rows) {
      const isCurrent = current && row.dataset.id === String(current.id);
      row.tabIndex = cursor && row.dataset.id === String(cursor.id) ? 0 : -1;
      row.classList.toggle("chosen", !!isCurrent);
      if (isCurrent) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }
  function fill() {
    const hadFocus = body.contains(document.activeElement);
    shown = sorted();
    body.replaceChildren(...shown.slice(0, most).map(makeRow));
    heads.forEach((head, i) => {
      if (!columns[i].isPlain) head.setAttribute("aria-sort", order[0] !== i ? "none" : order[1] > 0 ? "ascending" : "descending");
    });
    showState();
    if (hadFocus) rowOf(cursor)?.focus();
  }
  function move(to) {
    cursor = shown[Math.min(Math.max(to, 0), Math.min(shown.length, most) - 1)];
    showState();
    const row = rowOf(cursor);
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
  const itemOf = (target) => shown.find((item) => String(item.id) === target.closest("tr").dataset.id);
  body.onclick = (event) => {
    cursor = itemOf(event.target);
    showState();
    rowOf(cursor).focus({ preventScroll: true });
    open(cursor);
  };
  body.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = itemOf(event.target), at = shown.indexOf(item);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: shown.length }[event.key];
    if (to !== undefined) move(to);
    else if (event.key === "Enter" || event.key === " ") open(item);
    else if (!key || !key(item, event.key)) return;
    event.preventDefault();
  };
  return {
    fill,
    shown: () => shown,
    limit: (n) => { most = n; fill(); },
    choose: (item) => {
      current = cursor = item;
      showState();
    },
    // The item changed: draw its row again.
    update: (item) => {
      const row = rowOf(item), hadFocus = row && row.contains(document.activeElement);
      if (!row) return;
      row.replaceWith(makeRow(item));
      showState();
      if (hadFocus) rowOf(item).focus({ preventScroll: true });
    },
  };
}
