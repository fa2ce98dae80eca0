// A knob's browser half: the browser's own slider, which its label names to a screen reader. See knob.py.

function render({ model, el }) {
  const label = document.createElement("label");
  label.style.cssText =
    "display: flex; align-items: center; gap: 8px; width: 30em; max-width: 100%; margin: 2px; " +
    "line-height: var(--jp-widgets-inline-height, 28px); color: var(--jp-widgets-label-color, inherit); " +
    "font-size: var(--jp-widgets-font-size, 13px)";
  const name = document.createElement("span");
  name.style.cssText = "flex: 0 1 9em; text-align: right";
  name.textContent = model.get("name");
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = "0";
  slider.style.cssText = "flex: 1 1 6em; min-width: 4em; margin: 0; accent-color: var(--jp-brand-color1, #2196f3)";
  const reading = document.createElement("span");
  reading.setAttribute("aria-hidden", "true"); // the slider says it
  reading.style.flex = "0 0 5em";
  label.append(name, slider, reading);
  el.append(label);

  const draw = () => {
    const labels = model.get("labels");
    slider.max = String(labels.length - 1);
    slider.value = String(model.get("index"));
    slider.setAttribute("aria-label", model.get("name"));
    slider.setAttribute("aria-valuetext", labels[model.get("index")]);
    reading.textContent = labels[model.get("index")];
  };
  slider.addEventListener("input", () => {
    model.set("index", Number(slider.value));
    model.save_changes();
  });
  // JupyterLab would take the arrows: to the left and right it folds headings
  slider.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("change:index", draw);
  draw();
  return () => model.off("change:index", draw);
}

export default { render };
