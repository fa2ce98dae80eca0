// One clip on one time axis: waveform, log-mel and the strip of audio tokens, with a playhead that follows the sound.
// No dependencies and no requests; the other player_*.js files come before it. mountPlayer(root, data) builds
// everything inside `root`; `data` is what player.py's player_data() makes. All text that came from a user is set as
// text, never as markup. `onToken` of the player is called with a token that was clicked, and its root tells where the
// playhead is by "q2a-time" events, so that other pictures can follow.

let sounding = null; // the player that sounds; starting another one pauses it

class Player {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.seconds = 0;
    this.axis = Math.max(data.seconds, data.mel.frames * data.mel.frameSeconds, data.tokens.count * data.tokens.seconds);
    this.sound = new Sound(decodeInt16(data.pcm), data.sampleRate, data.fullScale);
    root.innerHTML = SKELETON;
    this.part = (name) => root.querySelector("." + name);
    this.lines = ["hover", "playhead", "piece"].map((name) => this.addLines(name));
    this.plot = this.part("plot");
    this.pieces = new Pieces(this.part("pieces"), data, this.axis, (span) => this.hear(span));
    this.markPiece(null);
    this.label();
    this.drawWaveform();
    this.drawMel();
    this.listen();
    this.resizing = new ResizeObserver(() => this.drawScales());
    this.resizing.observe(this.plot);
    this.drawScales();
    this.chooseToken(data.tokens.token);
  }

  // silently, as a link or another panel asks for it
  chooseToken(token) {
    if (token !== null && this.pieces.choose({ row: "tokens", index: token })) this.seek(token * this.data.tokens.seconds);
    this.show();
  }

  // one line through each row, so that the titles between them stay clear
  addLines(name) {
    return ["wave", "mel", "tokens"].map((row) => {
      const line = document.createElement("div");
      line.className = name;
      this.part(row).append(line);
      return line;
    });
  }

  moveLines(lines, seconds) {
    for (const line of lines) {
      line.hidden = seconds === null;
      if (seconds !== null) line.style.left = `${(100 * seconds) / this.axis}%`;
    }
  }

  dispose() {
    this.pause();
    this.resizing.disconnect();
    if (sounding === this) sounding = null;
  }

  label() {
    const { data } = this;
    const title = (name, head, detail) => {
      const element = this.part(name);
      const bold = document.createElement("b");
      bold.textContent = head;
      element.replaceChildren(bold, " " + detail);
    };
    const each = `${data.sampleRate.toLocaleString("en")} samples a second`;
    const softer = `played ${data.fullScale.toFixed(2)} times softer: beyond full scale`;
    title("wave-title", "Waveform", data.fullScale > 1 ? softer : each);
    const rate = (seconds) => +(1 / seconds).toFixed(1);
    title("mel-title", "Log-mel", `${data.mel.bins} mel bins, ${rate(data.mel.frameSeconds)} frames a second (kHz)`);
    const width = `${rate(data.tokens.seconds)} a second, ${milliseconds(data.tokens.seconds)} each`;
    title("token-title", "Audio tokens", `${width}: ${data.tokens.count} for this clip`);
    this.part("summary").textContent = data.summary;
    this.plot.setAttribute("aria-label", `Position in ${data.name}`);
    this.plot.setAttribute("aria-description", data.summary);
    this.plot.setAttribute("aria-valuemin", "0");
    this.plot.setAttribute("aria-valuemax", data.seconds.toFixed(2));
  }

  drawWaveform() {
    const edges = decodeInt16(this.data.envelope); // lowest of every slice, then highest of every slice
    const slices = edges.length / 2;
    const peak = Math.max(1, ...Array.from(edges, Math.abs)); // as 16 bits −32768 has no positive
    const level = levelText((peak * this.data.fullScale) / 32768);
    const y = (value) => (50 - (48 * value) / peak).toFixed(2);
    const svg = this.part("wave").querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${slices} 100`);
    svg.style.width = `${(100 * this.data.seconds) / this.axis}%`;
    let upper = "";
    let lower = "";
    for (let i = 0; i < slices; i++) {
      upper += `L${i + 0.5} ${y(edges[slices + i])}`;
      lower = `L${i + 0.5} ${y(edges[i])}` + lower;
    }
    svg.querySelector(".shape").setAttribute("d", "M" + upper.slice(1) + lower + "Z");
    svg.querySelector(".zero").setAttribute("d", `M0 50H${slices}`);
    const ends = edges.some((value) => value) ? [[`+${level}`, 9], [`−${level}`, 91]] : [];
    this.ticks(this.part("wave"), [["0", 50], ...ends]);
  }

  drawMel() {
    const { bins, frames, values, frameSeconds, ticks } = this.data.mel;
    this.mel = decodeBase64(values);
    const canvas = this.part("mel").querySelector("canvas");
    canvas.width = frames;
    canvas.height = bins;
    canvas.style.width = `${(100 * frames * frameSeconds) / this.axis}%`;
    const image = canvas.getContext("2d").createImageData(frames, bins);
    const table = magmaTable();
    for (let bin = 0; bin < bins; bin++) {
      for (let frame = 0; frame < frames; frame++) {
        const from = 3 * this.mel[bin * frames + frame];
        const to = 4 * ((bins - 1 - bin) * frames + frame);
        for (let k = 0; k < 3; k++) image.data[to + k] = table[from + k];
        image.data[to + 3] = 255;
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    this.ticks(this.part("mel"), ticks.map(([kiloHertz, bin]) => [String(kiloHertz), 100 * (1 - (bin + 0.5) / bins)]));
  }

  ticks(row, labels) {
    for (const [text, percent] of labels) {
      const tick = document.createElement("span");
      tick.className = "tick-y";
      tick.textContent = text;
      tick.style.top = `${percent}%`;
      row.append(tick);
    }
  }

  drawScales() {
    const width = this.plot.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const { count, seconds } = this.data.tokens;
    const cell = (width * seconds) / this.axis;
    const cells = this.part("cells");
    cells.style.width = `${(100 * count * seconds) / this.axis}%`;
    cells.style.backgroundSize = `${200 / Math.max(count, 1)}% 100%`;
    cells.classList.toggle("plain", cell < 3);
    this.part("now").style.width = `${(100 * seconds) / this.axis}%`;
    const tokenStep = niceStep(count, width / 34, [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000]);
    cells.replaceChildren(...this.scale(count, tokenStep, (k) => [String(k), (100 * (k + 0.5)) / count]));
    const secondStep = niceStep(this.axis, width / 64, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60]);
    const digits = secondStep < 0.1 ? 2 : secondStep < 1 ? 1 : 0;
    const marks = Math.floor(this.axis / secondStep + 1e-6) + 1;
    const place = (k) => [(k * secondStep).toFixed(digits) + " s", (100 * k * secondStep) / this.axis];
    this.part("axis").replaceChildren(...this.scale(marks, 1, place));
    this.part("mel").classList.toggle("smooth", this.data.mel.frames > 2 * width);
    this.show();
  }

  scale(count, step, place) {
    const labels = [];
    for (let k = 0; k < count; k += step) {
      const [text, percent] = place(k);
      const label = document.createElement("span");
      label.textContent = text;
      label.style.left = `${percent}%`;
      labels.push(label);
    }
    return labels;
  }

  listen() {
    const toggle = this.part("toggle");
    toggle.addEventListener("click", () => this.toggle());
    this.part("rewind").addEventListener("click", () => this.seek(0));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.part("loop").addEventListener("click", () => this.setLoop(!this.loop));
    this.plot.addEventListener("pointerdown", (event) => {
      this.plot.setPointerCapture(event.pointerId);
      this.pressed = { x: event.clientX, row: this.rowAt(event), dragging: false };
      this.seek(this.secondsAt(event));
    });
    this.plot.addEventListener("pointermove", (event) => {
      if (this.pressed && Math.abs(event.clientX - this.pressed.x) > 3) this.pressed.dragging = true;
      if (this.pressed?.dragging) this.seek(this.secondsAt(event));
      this.point(event);
    });
    this.plot.addEventListener("pointerup", () => {
      const { row, dragging } = this.pressed ?? {};
      this.pressed = null;
      if (row && !dragging) this.pick(row);
    });
    this.plot.addEventListener("pointercancel", () => (this.pressed = null));
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.point(null);
  }

  key(event) {
    const token = this.data.tokens.seconds;
    const moves = {
      ArrowLeft: -token, ArrowDown: -token, ArrowRight: token, ArrowUp: token,
      PageDown: -1, PageUp: 1, Home: -this.axis, End: this.axis,
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " || event.key === "Enter") this.toggle();
    else if (event.key === "l" || event.key === "L") this.setLoop(!this.loop);
    else if (["1", "2", "3"].includes(event.key)) this.pick("tokens", KINDS[event.key - 1]);
    else if (event.key in moves) this.seek(this.stepFrom(moves[event.key]));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // a step of one token lands on the start of a token, wherever it began
  stepFrom(move) {
    const token = this.data.tokens.seconds;
    if (Math.abs(move) !== token) return this.seconds + move;
    return (this.token() + Math.sign(move)) * token;
  }

  token() {
    return Math.floor(this.seconds / this.data.tokens.seconds + 1e-6);
  }

  secondsAt(event) {
    const box = this.plot.getBoundingClientRect();
    return (this.axis * (event.clientX - box.left)) / box.width;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  async play(piece = null) {
    if (sounding && sounding !== this) sounding.pause();
    sounding = this;
    clearTimeout(this.again);
    if (!piece && this.seconds >= this.data.seconds - 1e-3) this.seconds = 0;
    this.piece = piece;
    this.playing = true;
    this.show();
    const [from, until] = piece ? [piece.start, piece.stop] : [this.seconds, this.data.seconds];
    await this.sound.play(from, until, () => this.finish());
    if (this.playing) this.follow();
    else this.sound.stop();
  }

  follow() {
    cancelAnimationFrame(this.frame);
    if (!this.playing) return;
    const end = this.piece ? this.piece.stop : this.data.seconds;
    if (this.sound.source) this.seconds = Math.min(this.sound.position(), end);
    this.show();
    this.frame = requestAnimationFrame(() => this.follow());
  }

  finish() {
    const { piece } = this;
    this.seconds = piece ? piece.stop : this.data.seconds;
    if (!this.loop) return this.pause();
    this.again = setTimeout(() => this.play(piece), 1000 * REPEAT_SECONDS);
  }

  // a piece leaves the playhead where it was before
  pause() {
    clearTimeout(this.again);
    if (this.piece) this.seconds = this.piece.anchor;
    this.piece = null;
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.sound.stop();
    this.markPiece(null);
    this.show();
  }

  seek(seconds) {
    if (this.piece) this.pause();
    this.seconds = Math.min(Math.max(seconds, 0), this.data.seconds);
    if (this.playing) {
      cancelAnimationFrame(this.frame);
      this.play();
    }
    this.show();
  }

  setLoop(loop) {
    this.loop = loop;
    this.part("loop").setAttribute("aria-pressed", String(loop));
  }

  // choose the token or the frame under the playhead; it sounds unless the whole clip does
  pick(row, kind = this.pieces.kind) {
    if (this.piece) this.pause();
    const unit = row === "tokens" ? this.data.tokens.seconds : this.data.mel.frameSeconds;
    this.pieces.kind = kind;
    const chosen = this.pieces.choose({ row, index: Math.floor(this.seconds / unit + 1e-6) });
    if (row === "tokens") this.onToken?.(chosen ? chosen.index : null);
    if (chosen && !this.playing) this.hear(this.pieces.span());
  }

  hear(span) {
    const anchor = this.piece ? this.piece.anchor : this.seconds;
    if (this.playing) this.pause();
    this.markPiece(span);
    this.play({ ...span, anchor });
  }

  // the piece that sounds, shaded through all rows
  markPiece(span) {
    for (const band of this.lines[2]) {
      band.hidden = !span;
      if (!span) continue;
      band.style.left = `${(100 * span.start) / this.axis}%`;
      band.style.width = `${(100 * (span.stop - span.start)) / this.axis}%`;
    }
    this.root.dataset.piece = span ? span.kind : "";
  }

  rowAt(event) {
    return ["mel", "tokens"].find((row) => {
      const box = this.part(row).getBoundingClientRect();
      return event.clientY >= box.top && event.clientY <= box.bottom;
    });
  }

  describe(seconds) {
    const { count, seconds: width } = this.data.tokens;
    const token = Math.floor(seconds / width + 1e-6);
    const named = token < count ? `audio token ${token}` : "after the last audio token";
    const frame = Math.min(Math.floor(seconds / this.data.mel.frameSeconds + 1e-6), this.data.mel.frames - 1);
    return `${seconds.toFixed(2)} s, mel frame ${frame}, ${named}`;
  }

  show() {
    const { data } = this;
    const token = this.token();
    const text = this.describe(this.seconds);
    this.moveLines(this.lines[1], this.seconds);
    const now = this.part("now");
    now.hidden = token >= data.tokens.count;
    now.style.left = `${(100 * token * data.tokens.seconds) / this.axis}%`;
    const [time, ...rest] = text.split(", ");
    this.part("clock").textContent = `${time.replace(" s", "")} / ${data.seconds.toFixed(2)} s · ${rest.join(" · ")}`;
    this.root.dataset.seconds = this.seconds.toFixed(6);
    this.root.dataset.token = String(token);
    const detail = { id: data.id, seconds: this.seconds, token, playing: Boolean(this.playing) };
    this.root.dispatchEvent(new CustomEvent("q2a-time", { bubbles: true, composed: true, detail }));
    const toggle = this.part("toggle");
    const action = this.playing ? "Pause" : "Play";
    if (toggle.dataset.action !== action) {
      toggle.dataset.action = action;
      toggle.innerHTML = `${this.playing ? ICONS.pause : ICONS.play}<span>${action}</span>`;
    }
    if (this.playing) return; // a screen reader must not read sixty positions a second
    this.plot.setAttribute("aria-valuenow", this.seconds.toFixed(2));
    this.plot.setAttribute("aria-valuetext", text);
  }

  point(event) {
    const seconds = event && Math.min(Math.max(this.secondsAt(event), 0), this.axis);
    this.moveLines(this.lines[0], seconds);
    if (!event) {
      this.part("pointer").textContent = "Click a token or a mel frame to hear it; drag to seek.";
      return;
    }
    this.part("pointer").textContent = "Pointer: " + this.describe(Math.min(seconds, this.data.seconds)) + this.melAt(event, seconds);
  }

  melAt(event, seconds) {
    const { bins, frames, frameSeconds, range } = this.data.mel;
    const box = this.part("mel").getBoundingClientRect();
    const bin = Math.floor(bins * (1 - (event.clientY - box.top) / box.height));
    const frame = Math.floor(seconds / frameSeconds + 1e-6);
    if (bin < 0 || bin >= bins || frame >= frames) return "";
    const value = range[0] + (this.mel[bin * frames + frame] / 255) * (range[1] - range[0]);
    return `, mel bin ${bin}, value ${value.toFixed(2)}`;
  }
}

function mountPlayer(root, data) {
  const before = root.q2aPlayer;
  if (before && before.data.id === data.id) {
    // drawn already: a rerun must not stop the sound
    if (before.data.tokens.token !== data.tokens.token) before.chooseToken(data.tokens.token);
    before.data = data;
    return before;
  }
  before?.dispose();
  root.q2aPlayer = new Player(root, data);
  return root.q2aPlayer;
}
