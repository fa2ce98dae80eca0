// What one audio token or one mel frame stands for, reads and knows of: three spans, drawn as brackets that sound when
// they are pressed. Lengths and offsets come from player.py, which asks lengths.py.

const KINDS = ["stride", "field", "context"];
const REPEAT_SECONDS = 0.25; // silence between two rounds, so that a short piece is heard as one

function milliseconds(seconds) {
  return `${+(1000 * seconds).toFixed(1)} ms`;
}

// {row, index} -> [{kind, start, stop, label}]; start and stop in seconds, cut to the clip and to its window
function spansOf({ row, index }, data) {
  const { seconds: unit, field } = row === "tokens" ? data.tokens : { ...data.mel, seconds: data.mel.frameSeconds };
  const { windows } = data;
  const [first, end] = windows.findLast(([start]) => start <= index * unit + 1e-6) ?? windows[0];
  const whole = windows.length > 1 ? `these ${+(end - first).toFixed(1)} s of the clip` : "the whole clip";
  const words =
    row === "tokens"
      ? ["stride", "receptive field", `context: ${whole}, through the encoder's attention`]
      : ["hop", "window", `context: ${whole}, whose loudest bin sets the floor`];
  const spans = [[index * unit, (index + 1) * unit], field.map((offset) => index * unit + offset), [first, end]];
  return spans.map(([start, stop], k) => ({
    kind: KINDS[k],
    start: Math.max(start, first),
    stop: Math.min(stop, end),
    label: k < 2 ? `${milliseconds(stop - start)} ${words[k]}` : words[k],
  }));
}

class Pieces {
  // `hear(span)` plays one; `element` is the row that the brackets are drawn in
  constructor(element, data, axis, hear) {
    Object.assign(this, { element, data, axis, hear, kind: "field", chosen: null });
    this.draw();
  }

  // null where there is neither token nor frame; the index is cut to what the clip has
  choose(chosen) {
    const count = chosen?.row === "tokens" ? this.data.tokens.count : this.data.mel.frames;
    this.chosen = chosen && chosen.index >= 0 && chosen.index < count ? chosen : null;
    this.draw();
    return this.chosen;
  }

  span(kind = this.kind) {
    return this.chosen && spansOf(this.chosen, this.data).find((span) => span.kind === kind);
  }

  name() {
    const { row, index } = this.chosen;
    return row === "tokens" ? `audio token ${index}` : `mel frame ${index}`;
  }

  draw() {
    const hint = document.createElement("p");
    hint.textContent =
      "Click an audio token or a mel frame: what it stands for, what it reads and what it knows of appear here, to be heard.";
    const brackets = this.chosen ? spansOf(this.chosen, this.data).map((span) => this.bracket(span)) : [hint];
    const focused = this.element.getRootNode().activeElement?.dataset?.kind;
    this.element.replaceChildren(...brackets);
    this.element.querySelector(`[data-kind="${focused}"]`)?.focus();
    this.element.setAttribute("aria-label", this.chosen ? `Pieces about ${this.name()}` : "Pieces of the clip");
  }

  bracket(span) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `bracket ${span.kind}`;
    button.setAttribute("aria-pressed", String(span.kind === this.kind));
    Object.assign(button.dataset, { kind: span.kind, start: span.start.toFixed(5), stop: span.stop.toFixed(5) });
    const [left, right] = [span.start, span.stop].map((seconds) => (100 * seconds) / this.axis);
    const mark = document.createElement("i");
    Object.assign(mark.style, { left: `${left}%`, width: `${right - left}%` });
    const text = document.createElement("span");
    text.textContent = span.label;
    // beside the bracket, on the side that has room; inside it where it is long, on two lines if need be
    text.classList.toggle("inside", right - left > 55);
    if (right - left > 55) text.style.left = `${(left + right) / 2 - 50}%`;
    else if (left < 50) text.style.left = `calc(${right}% + 8px)`;
    else text.style.right = `calc(${100 - left}% + 8px)`;
    const times = `${span.start.toFixed(3)} to ${span.stop.toFixed(3)} s`;
    button.title = `Hear ${times}`;
    button.setAttribute("aria-label", `Hear the ${span.label} of ${this.name()}, ${times}`);
    button.append(mark, text);
    button.addEventListener("click", () => {
      this.kind = span.kind;
      this.draw();
      this.hear(this.span());
    });
    return button;
  }
}
