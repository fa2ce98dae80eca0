// One clip on one time axis: waveform, log-mel and the strip of 40 ms audio tokens, with a playhead that follows the
// sound. No dependencies and no requests. mountPlayer(root, data) builds everything inside `root`; `data` is what
// player.py's player_data() makes. All text that came from a user is set as text, never as markup.

// matplotlib's magma at 17 points; colours between them are interpolated (at most 3/255 off)
const MAGMA = (
  "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 " +
  "d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf"
).split(" ");
const FADE_SECONDS = 0.005; // a cut without it sounds as a click
const ICONS = {
  play: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5v11l9-5.5z"/></svg>',
  pause: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5h3v11H4zm5 0h3v11H9z"/></svg>',
  start: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 2.5h2v11H3zm10 0v11L6 8z"/></svg>',
};
const SKELETON = `
  <div class="bar">
    <button type="button" class="toggle"></button>
    <button type="button" class="rewind" aria-label="Back to the start" title="Back to the start (Home)">${ICONS.start}</button>
    <output class="clock"></output>
  </div>
  <p class="summary"></p>
  <div class="plot" role="slider" tabindex="0">
    <div class="row-title wave-title"></div>
    <div class="row wave"><svg preserveAspectRatio="none" aria-hidden="true"><path class="zero"/><path class="shape"/></svg></div>
    <div class="row-title mel-title"></div>
    <div class="row mel"><canvas></canvas></div>
    <div class="row-title token-title"></div>
    <div class="row tokens"><div class="cells"></div><div class="now"></div></div>
    <div class="axis"></div>
  </div>
  <div class="foot">
    <p class="pointer" aria-hidden="true"></p>
    <span class="keys"><kbd>space</kbd> play &ensp;<kbd>←</kbd> <kbd>→</kbd> one token</span>
  </div>`;

let context = null; // one AudioContext for all players of the page, made at the first click as browsers demand
let sounding = null; // the player that sounds; starting another one pauses it

function decodeBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function decodeInt16(text) {
  return new Int16Array(decodeBase64(text).buffer);
}

function magmaTable() {
  const table = new Uint8ClampedArray(256 * 3);
  const channel = (stop, k) => parseInt(MAGMA[stop].slice(2 * k, 2 * k + 2), 16);
  for (let value = 0; value < 256; value++) {
    const x = (value / 255) * (MAGMA.length - 1);
    const stop = Math.min(Math.floor(x), MAGMA.length - 2);
    for (let k = 0; k < 3; k++) {
      table[3 * value + k] = channel(stop, k) + (x - stop) * (channel(stop + 1, k) - channel(stop, k));
    }
  }
  return table;
}

function niceStep(span, room, steps) {
  return steps.find((step) => span / step <= room) ?? steps[steps.length - 1];
}

class Sound {
  constructor(pcm, sampleRate) {
    this.pcm = pcm;
    this.sampleRate = sampleRate;
    this.source = null;
  }

  async play(from, ended) {
    context ??= new AudioContext();
    if (context.state !== "running") await context.resume();
    this.stop();
    const source = context.createBufferSource();
    source.buffer = this.buffer ??= this.makeBuffer();
    const gain = context.createGain();
    gain.gain.setValueAtTime(0, context.currentTime);
    gain.gain.linearRampToValueAtTime(1, context.currentTime + FADE_SECONDS);
    source.connect(gain).connect(context.destination);
    source.onended = () => this.source === source && (this.stop(), ended());
    source.start(0, from);
    Object.assign(this, { source, gain, from, startedAt: context.currentTime });
  }

  stop() {
    if (!this.source) return;
    const source = this.source;
    this.source = null;
    this.gain.gain.setTargetAtTime(0, context.currentTime, FADE_SECONDS / 3);
    source.stop(context.currentTime + 2 * FADE_SECONDS);
  }

  // what leaves the loudspeaker now, not what was last handed to it
  position() {
    const heard = context.currentTime - (context.outputLatency || context.baseLatency || 0);
    return this.from + Math.max(0, heard - this.startedAt);
  }

  makeBuffer() {
    const buffer = context.createBuffer(1, this.pcm.length, this.sampleRate);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < this.pcm.length; i++) channel[i] = this.pcm[i] / 32768;
    return buffer;
  }
}

class Player {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.seconds = 0;
    this.axis = Math.max(data.seconds, data.mel.frames * data.mel.frameSeconds, data.tokens.count * data.tokens.seconds);
    this.sound = new Sound(decodeInt16(data.pcm), data.sampleRate);
    root.innerHTML = SKELETON;
    this.part = (name) => root.querySelector("." + name);
    this.lines = ["hover", "playhead"].map((name) => this.addLines(name));
    this.plot = this.part("plot");
    this.label();
    this.drawWaveform();
    this.drawMel();
    this.listen();
    this.resizing = new ResizeObserver(() => this.drawScales());
    this.resizing.observe(this.plot);
    this.drawScales();
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
    title("wave-title", "Waveform", `${data.sampleRate.toLocaleString("en")} samples a second`);
    title("mel-title", "Log-mel", `${data.mel.bins} mel bins, 100 frames a second (kHz)`);
    title("token-title", "Audio tokens", `25 a second, 40 ms each: ${data.tokens.count} for this clip`);
    this.part("summary").textContent = data.summary;
    this.plot.setAttribute("aria-label", `Position in ${data.name}`);
    this.plot.setAttribute("aria-description", data.summary);
    this.plot.setAttribute("aria-valuemin", "0");
    this.plot.setAttribute("aria-valuemax", data.seconds.toFixed(2));
  }

  drawWaveform() {
    const edges = decodeInt16(this.data.envelope); // lowest of every slice, then highest of every slice
    const slices = edges.length / 2;
    const peak = Math.max(1, ...edges.map(Math.abs));
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
    const full = (peak / 32768).toFixed(2);
    this.ticks(this.part("wave"), [[`+${full}`, 9], ["0", 50], [`−${full}`, 91]]);
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
    const secondStep = niceStep(this.axis, width / 64, [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60]);
    const digits = secondStep < 1 ? 1 : 0;
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
    this.plot.addEventListener("pointerdown", (event) => {
      this.plot.setPointerCapture(event.pointerId);
      this.dragging = true;
      this.seek(this.secondsAt(event));
    });
    this.plot.addEventListener("pointermove", (event) => {
      if (this.dragging) this.seek(this.secondsAt(event));
      this.point(event);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.plot.addEventListener(name, () => (this.dragging = false));
    }
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.point(null);
  }

  key(event) {
    const token = this.data.tokens.seconds;
    const moves = {
      ArrowLeft: -token, ArrowDown: -token, ArrowRight: token, ArrowUp: token,
      PageDown: -1, PageUp: 1, Home: -this.axis, End: this.axis,
    };
    if (event.key === " " || event.key === "Enter") this.toggle();
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

  async play() {
    if (sounding && sounding !== this) sounding.pause();
    sounding = this;
    if (this.seconds >= this.data.seconds - 1e-3) this.seconds = 0;
    this.playing = true;
    this.show();
    await this.sound.play(this.seconds, () => this.finish());
    if (this.playing) this.follow();
    else this.sound.stop();
  }

  follow() {
    if (!this.playing) return;
    if (this.sound.source) this.seconds = Math.min(this.sound.position(), this.data.seconds);
    this.show();
    this.frame = requestAnimationFrame(() => this.follow());
  }

  finish() {
    this.seconds = this.data.seconds;
    this.pause();
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.sound.stop();
    this.show();
  }

  seek(seconds) {
    this.seconds = Math.min(Math.max(seconds, 0), this.data.seconds);
    if (this.playing) {
      cancelAnimationFrame(this.frame);
      this.play();
    }
    this.show();
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
      this.part("pointer").textContent = "Click or drag to seek; point at the log-mel to read a value.";
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
  if (before && before.data.id === data.id) return before; // drawn already: a rerun must not stop the sound
  before?.dispose();
  root.q2aPlayer = new Player(root, data);
  return root.q2aPlayer;
}
