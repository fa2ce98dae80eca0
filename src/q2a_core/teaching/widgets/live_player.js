// anywidget's half of the player: after the player's own script, which has mountPlayer. See live_player.py.

function render({ model, el }) {
  el.dataset.lmSuppressShortcuts = "true";
  const host = document.createElement("div");
  el.append(host);
  const shadow = host.attachShadow({ mode: "open" });
  const style = document.createElement("style");
  style.textContent = model.get("style_sheet");
  const root = document.createElement("div");
  root.className = "q2a-player";
  shadow.append(style, root);
  const player = mountPlayer(root, model.get("clip"));
  player.onToken = (token) => {
    model.set("token", token);
    model.save_changes();
  };
  const follow = () => {
    const token = model.get("token");
    const { chosen } = player.pieces;
    // a click has chosen already, and choosing again would stop the sound
    if ((chosen?.row === "tokens" ? chosen.index : null) !== token) player.chooseToken(token);
  };
  model.on("change:token", follow);
  follow();
  return () => {
    model.off("change:token", follow);
    player.dispose();
  };
}

export default { render };
