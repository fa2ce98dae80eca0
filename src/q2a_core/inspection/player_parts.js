// What the player is built of: its markup, its icons, the colours of the log-mel, and how bytes come out of base64.

// matplotlib's magma at 17 points; colours between them are interpolated (at most 3/255 off)
const MAGMA = (
  "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 " +
  "d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf"
).split(" ");
const ICONS = {
  play: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5v11l9-5.5z"/></svg>',
  pause: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5h3v11H4zm5 0h3v11H9z"/></svg>',
  start: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 2.5h2v11H3zm10 0v11L6 8z"/></svg>',
  loop: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4h6.5V1.5L14.5 5l-4 3.5V6H4v3H2V6a2 2 0 0 1 2-2zm8 8H5.5v2.5L1.5 11l4-3.5V10H12V7h2v3a2 2 0 0 1-2 2z"/></svg>',
};
const SKELETON = `
  <div class="bar">
    <button type="button" class="toggle"></button>
    <button type="button" class="rewind" aria-label="Back to the start" title="Back to the start (Home)">${ICONS.start}</button>
    <button type="button" class="loop" aria-label="Repeat" title="Repeat what is played (L)" aria-pressed="false">${ICONS.loop}</button>
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
  <div class="pieces" role="group"></div>
  <div class="foot">
    <p class="pointer" aria-hidden="true"></p>
    <span class="keys"><kbd>space</kbd> play &ensp;<kbd>←</kbd> <kbd>→</kbd> one token &ensp;<kbd>1</kbd> <kbd>2</kbd> <kbd>3</kbd> hear it</span>
  </div>`;

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

// a level beside an axis: 0.29, 0.0042, 8.1e-5
function levelText(level) {
  if (level >= 0.01) return level.toFixed(2);
  return level >= 0.001 ? level.toPrecision(2) : level.toExponential(1);
}

function niceStep(span, room, steps) {
  return steps.find((step) => span / step <= room) ?? steps[steps.length - 1];
}
