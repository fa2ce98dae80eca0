// Attention on the player's time axis: what one row reads, the whole map, and what the reply needs, under the log-mel;
// below, every layer and head as a small picture. Needs player.js before it in the same scope.
// mountAttention(root, data, send) builds everything inside `root`; `data` is what attention_widget.py's attention_data()
// makes; send(name, value) tells the outside: "token" number or -1, "chosen" [layer, head or -1], "row" number or -1,
// "range" [first, stop], "cell" [site, window]. All text that came from a user or a model is set as text, never as markup.

const LANES = `
  <div class="row-title reads-title"></div>
  <div class="row reads"><canvas></canvas><div class="range"></div></div>
  <div class="row-title map-title"></div>
  <div class="row map" role="slider" tabindex="0"><canvas></canvas><div class="range"></div><div class="locked"></div></div>
  <div class="row-title cause-title"></div>
  <div class="row cause" role="img"><canvas></canvas><div class="range"></div></div>`;
const LOSS = [230, 97, 1]; // orange and violet: told apart by the colour-blind, and on light and dark
const GAIN = [124, 96, 200];
const ALL = -1;

function paint(canvas, columns, rows, colour) {
  canvas.width = columns;
  canvas.height = rows;
  const image = canvas.getContext("2d").createImageData(columns, rows);
  for (let k = 0; k < rows * columns; k++) image.data.set(colour(k), 4 * k);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// two decimals, and no minus before zero
function rounded(value) {
  return (Math.round(100 * value) / 100 || 0).toFixed(2);
}

function text(tag, className, content) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = content;
  return element;
}

class Attention {
  constructor(root) {
    this.root = root;
    this.table = magmaTable();
    root.innerHTML = '<div class="q2a-player"></div><div class="grid" role="group" aria-label="All layers and heads"></div>';
    this.grid = root.querySelector(".grid");
    this.grid.addEventListener("click", (event) => this.choose(event.target.closest("button")));
    this.grid.addEventListener("keydown", (event) => this.moveInGrid(event));
  }

  show(data, send) {
    this.data = data;
    this.send = send;
    const player = mountPlayer(this.root.querySelector(".q2a-player"), data.player);
    if (player !== this.player) this.addLanes(player);
    this.locked = data.locked;
    this.hovered = null;
    this.drawMap();
    this.drawCauses();
    this.drawGrid();
    this.drawRow();
  }

  dispose() {
    this.player?.dispose();
  }

  // --- lanes inside the player, so that they share its axis, playhead and pointer line

  addLanes(player) {
    this.player = player;
    player.onToken = (token) => this.send("token", token ?? ALL);
    this.mapId = this.causeId = undefined;
    const lanes = text("div", "lanes", "");
    lanes.innerHTML = LANES;
    player.root.querySelector(".plot").after(lanes);
    this.part = (name) => lanes.querySelector("." + name);
    for (const name of ["reads", "map", "cause"]) {
      player.lines.forEach((lines) => {
        const line = text("div", lines[0].className, "");
        line.hidden = true;
        this.part(name).append(line);
        lines.push(line);
      });
      const lane = this.part(name);
      lane.addEventListener("pointermove", (event) => this.point(event, name));
      lane.addEventListener("pointerleave", () => this.point(null, name));
      lane.addEventListener("click", (event) => this.click(event, name));
    }
    this.part("reads").addEventListener("pointerdown", (event) => this.beginRange(event));
    this.part("reads").addEventListener("pointerup", (event) => this.endRange(event));
    this.part("map").addEventListener("keydown", (event) => this.moveRow(event));
    const show = player.show.bind(player);
    player.show = () => {
      show();
      if (this.data?.map?.followsSound && this.locked === null) this.drawRow();
    };
    player.moveLines(player.lines[0], null);
    player.show();
  }

  title(name, head, detail) {
    const bold = document.createElement("b");
    bold.textContent = head;
    this.part(name).replaceChildren(bold, " " + detail);
  }

  percent(token) {
    return (100 * token * this.data.player.tokens.seconds) / this.player.axis;
  }

  widthOf(name, columns) {
    this.part(name).querySelector("canvas").style.width = `${this.percent(columns)}%`;
  }

  drawMap() {
    const { map } = this.data;
    for (const name of ["reads-title", "reads", "map-title", "map"]) this.part(name).hidden = !map;
    if (!map) return;
    if (map.id !== this.mapId) {
      this.mapId = map.id;
      this.values = decodeBase64(map.values);
      paint(this.part("map").querySelector("canvas"), map.columns, map.rows, (k) => this.magma(this.values[k]));
      this.mean = new Float32Array(map.columns);
      for (let k = 0; k < this.values.length; k++) this.mean[k % map.columns] += this.weight(k) / map.rows;
      const lane = this.part("map");
      lane.style.height = `${map.followsSound ? 260 : Math.min(Math.max(20 * map.rows, 40), 420)}px`;
      const every = Math.max(1, Math.ceil(map.rows / (lane.offsetHeight / 13 || 20)));
      lane.querySelectorAll(".tick-y").forEach((tick) => tick.remove());
      for (let row = 0; row < map.rows; row += every) {
        const tick = text("span", "tick-y", map.labels[row]);
        tick.style.top = `${(100 * (row + 0.5)) / map.rows}%`;
        tick.title = map.labels[row];
        lane.append(tick);
      }
      lane.setAttribute("aria-valuemin", "0");
      lane.setAttribute("aria-valuemax", String(map.rows - 1));
    }
    this.title("map-title", map.title, map.detail);
    this.part("map").setAttribute("aria-label", `Row of the map: ${map.title}`);
    this.widthOf("map", map.columns);
    this.markRange(this.data.range);
  }

  magma(value) {
    return [this.table[3 * value], this.table[3 * value + 1], this.table[3 * value + 2], 255];
  }

  weight(k) {
    return this.data.map.high * (this.values[k] / 255) ** (1 / this.data.map.gamma);
  }

  // the row that is shown: locked, else pointed at, else the sound's, else the mean of all
  row() {
    const { map, player } = this.data;
    if (this.locked !== null) return this.locked;
    if (this.hovered !== null) return this.hovered;
    return map.followsSound ? Math.min(Math.floor(this.player.seconds / player.tokens.seconds + 1e-6), map.rows - 1) : null;
  }

  weights(row) {
    const { columns } = this.data.map;
    if (row === null) return this.mean;
    return Float32Array.from({ length: columns }, (_, k) => this.weight(row * columns + k));
  }

  drawRow() {
    const { map } = this.data;
    if (!map || !this.values) return;
    const row = this.row();
    const weights = this.weights(row);
    const high = Math.max(...weights, 1e-9);
    const canvas = this.part("reads").querySelector("canvas");
    const scale = 44;
    canvas.width = map.columns;
    canvas.height = scale;
    const context2d = canvas.getContext("2d");
    context2d.fillStyle = getComputedStyle(canvas).color;
    weights.forEach((weight, k) => context2d.fillRect(k, scale * (1 - weight / high), 1, (scale * weight) / high));
    this.widthOf("reads", map.columns);
    const best = weights.indexOf(Math.max(...weights));
    const who = row === null ? map.everyRow : map.rowName.replace("%", map.labels[row]);
    const says = `${who} reads token ${best} most: ${(100 * weights[best]).toFixed(1)} % at ${this.seconds(best)}`;
    this.title("reads-title", says, this.locked === null ? map.lockHint : "locked; click its row again to let go");
    const mark = this.part("locked");
    mark.hidden = row === null;
    mark.classList.toggle("held", this.locked !== null);
    mark.style.top = `${(100 * row) / map.rows}%`;
    mark.style.height = `${100 / map.rows}%`;
    this.part("map").setAttribute("aria-valuenow", String(row ?? 0));
    this.part("map").setAttribute("aria-valuetext", says);
  }

  seconds(token) {
    return `${(token * this.data.player.tokens.seconds).toFixed(2)} s`;
  }

  drawCauses() {
    const { cause } = this.data;
    for (const name of ["cause-title", "cause"]) this.part(name).hidden = !cause;
    if (!cause || cause.id === this.causeId) return;
    this.causeId = cause.id;
    const values = new Float32Array(decodeBase64(cause.values).buffer);
    const columns = cause.windows[cause.windows.length - 1][1];
    const windowOf = new Int32Array(columns);
    cause.windows.forEach(([first, stop], k) => windowOf.fill(k, first, stop));
    const at = (k) => values[Math.floor(k / columns) * cause.windows.length + windowOf[k % columns]];
    this.causeAt = (row, token) => values[row * cause.windows.length + windowOf[token]];
    this.windowOf = windowOf;
    paint(this.part("cause").querySelector("canvas"), columns, cause.sites.length, (k) => {
      const value = at(k) / cause.high;
      return [...(value < 0 ? LOSS : GAIN), Math.round(255 * Math.min(Math.abs(value), 1))];
    });
    const lane = this.part("cause");
    lane.style.height = `${Math.min(Math.max(16 * cause.sites.length, 40), 420)}px`;
    lane.querySelectorAll(".tick-y").forEach((tick) => tick.remove());
    const every = Math.max(1, Math.ceil(cause.sites.length / 30));
    cause.sites.forEach((site, row) => {
      if (row % every) return;
      const tick = text("span", "tick-y", site);
      tick.style.top = `${(100 * (row + 0.5)) / cause.sites.length}%`;
      lane.append(tick);
    });
    this.title("cause-title", cause.title, cause.detail);
    lane.setAttribute("aria-label", `${cause.title} ${cause.detail}`);
    this.widthOf("cause", columns);
  }

  markRange(range) {
    for (const name of ["reads", "map", "cause"]) {
      const box = this.part(name).querySelector(".range");
      box.hidden = !range;
      if (!range) continue;
      box.style.left = `${this.percent(range[0])}%`;
      box.style.width = `${this.percent(range[1] - range[0])}%`;
    }
  }

  // --- pointer and keys

  tokenAt(event) {
    const box = this.part("reads").getBoundingClientRect();
    const seconds = (this.player.axis * (event.clientX - box.left)) / box.width;
    const last = this.data.player.tokens.count - 1;
    return Math.min(Math.max(Math.floor(seconds / this.data.player.tokens.seconds), 0), Math.max(last, 0));
  }

  rowAt(event, name, rows) {
    const box = this.part(name).getBoundingClientRect();
    return Math.min(Math.max(Math.floor((rows * (event.clientY - box.top)) / box.height), 0), rows - 1);
  }

  point(event, name) {
    const { map, cause } = this.data;
    this.hovered = event && name === "map" && map ? this.rowAt(event, name, map.rows) : null;
    if (this.from !== undefined && event) {
      const to = this.tokenAt(event);
      this.markRange([Math.min(this.from, to), Math.max(this.from, to) + 1]);
    }
    this.drawRow();
    if (!event) return this.player.point(null);
    const token = this.tokenAt(event);
    this.player.moveLines(this.player.lines[0], (token + 0.5) * this.data.player.tokens.seconds);
    const where = `token ${token}, ${this.seconds(token)}`;
    let says = "";
    if (name === "cause" && cause && token < this.windowOf.length) {
      const row = this.rowAt(event, name, cause.sites.length);
      says = `${cause.sites[row]}, ${where}: ${rounded(this.causeAt(row, token))} nats`;
    } else if (name === "map" && map) {
      const row = this.hovered;
      says = `${map.rowName.replace("%", map.labels[row])} on ${where}: ${(100 * this.weight(row * map.columns + token)).toFixed(2)} %`;
    } else if (map) {
      says = `${where}: ${(100 * this.weights(this.row())[token]).toFixed(2)} %`;
    }
    this.player.root.querySelector(".pointer").textContent = "Pointer: " + says;
  }

  click(event, name) {
    if (name === "map") this.lock(this.rowAt(event, name, this.data.map.rows));
    if (name === "cause") {
      const site = this.rowAt(event, name, this.data.cause.sites.length);
      this.send("cell", [site, this.windowOf[this.tokenAt(event)]]);
    }
  }

  lock(row) {
    this.locked = this.locked === row ? null : row;
    this.drawRow();
    this.send("row", this.locked ?? ALL);
  }

  moveRow(event) {
    const { map } = this.data;
    const moves = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e6, End: 1e6 };
    if (event.key in moves) {
      this.locked = Math.min(Math.max((this.row() ?? -Math.sign(moves[event.key])) + moves[event.key], 0), map.rows - 1);
      this.drawRow();
      clearTimeout(this.later); // while a key is held down only the last row is told
      this.later = setTimeout(() => this.send("row", this.locked ?? ALL), 150);
    } else if (event.key === "Enter" || event.key === " ") this.lock(this.row() ?? 0);
    else if (event.key === "Escape" && this.locked !== null) this.lock(this.locked);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  beginRange(event) {
    this.part("reads").setPointerCapture(event.pointerId);
    this.from = this.tokenAt(event);
  }

  // a drag chooses the range of the edit; a click merely goes there
  endRange(event) {
    const [from, to] = [this.from, this.tokenAt(event)];
    this.from = undefined;
    if (from === undefined) return;
    if (from === to) {
      this.markRange(this.data.range);
      this.player.seek(from * this.data.player.tokens.seconds);
    } else this.send("range", [Math.min(from, to), Math.max(from, to) + 1]);
  }

  // --- small pictures

  drawGrid() {
    const { thumbs } = this.data;
    this.grid.hidden = !thumbs;
    if (!thumbs) return;
    if (thumbs.id !== this.gridId) {
      this.gridId = thumbs.id;
      const { layers, heads, height, width } = thumbs;
      const values = decodeBase64(thumbs.values);
      this.grid.style.gridTemplateColumns = `72px repeat(${heads + 1}, minmax(52px, 1fr))`;
      this.grid.replaceChildren(text("span", "corner", ""), text("span", "column", "mean of heads"));
      for (let head = 0; head < heads; head++) this.grid.append(text("span", "column", `head ${head + 1}`));
      for (let layer = 0; layer < layers; layer++) {
        const name = text("span", "layer", `layer ${layer + 1}`);
        const share = thumbs.share?.[layer];
        if (share !== undefined) {
          const bar = text("span", "share", "");
          bar.style.setProperty("--share", `${100 * share}%`);
          bar.style.setProperty("--even", `${100 * thumbs.evenShare}%`);
          bar.title = `${(100 * share).toFixed(0)} % of what it reads is sound; reading all places alike it would be ${(100 * thumbs.evenShare).toFixed(0)} %`;
          name.append(text("small", "", `${(100 * share).toFixed(0)} % audio`), bar);
        }
        this.grid.append(name);
        for (let head = 0; head <= heads; head++) {
          const button = text("button", "thumb", "");
          button.type = "button";
          button.dataset.place = `${layer},${head - 1}`;
          const canvas = document.createElement("canvas");
          const start = (layer * (heads + 1) + head) * height * width;
          paint(canvas, width, height, (k) => this.magma(values[start + k]));
          const bits = thumbs.entropy[layer][head].toFixed(1);
          button.append(canvas, text("small", "", `${bits} bits`));
          button.setAttribute("aria-label", `Layer ${layer + 1}, ${head ? "head " + head : "mean of heads"}, entropy ${bits} bits`);
          this.grid.append(button);
        }
      }
    }
    this.mark(this.data.chosen);
  }

  mark([layer, head]) {
    for (const button of this.grid.querySelectorAll("button")) {
      const chosen = button.dataset.place === `${layer},${head}`;
      button.setAttribute("aria-pressed", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  }

  choose(button) {
    if (!button) return;
    const place = button.dataset.place.split(",").map(Number);
    this.mark(place);
    this.send("chosen", place);
  }

  moveInGrid(event) {
    const wide = this.data.thumbs.heads + 1;
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key];
    if (!move) return;
    event.preventDefault();
    const buttons = [...this.grid.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(event.target.closest("button")) + move];
    if (next) {
      this.choose(next);
      next.focus();
    }
  }
}

function mountAttention(root, data, send) {
  root.q2aAttention ??= new Attention(root);
  root.q2aAttention.show(data, send);
  return root.q2aAttention;
}
