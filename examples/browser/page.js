// The page: a model and a picture are chosen, bars are shown.
"use strict";

const $ = (id) => document.getElementById(id);
let faces, asked = 0;

function say(message, isError = false) {
  $("status").textContent = message;
  $("status").toggleAttribute("data-error", isError);
}

async function attempt(task) {
  try {
    await task();
  } catch (error) {
    say(`${error.message ?? error}`, true);
  }
}

function forget() { // the last answer, which the next picture or model may not be taken for
  asked++;
  $("bars").replaceChildren();
  $("seen").width = $("seen").height = 1;
}

async function useModel(bytes, name) {
  forget();
  $("picture").disabled = true;
  $("note").textContent = $("about").textContent = "";
  faces = await Faces.load(bytes);
  const { about } = faces;
  $("note").textContent = about.note;
  $("about").textContent = `${name}: ${about.method}, ${about.size} x ${about.size}, mpafer ${about.mpafer}`;
  $("picture").disabled = false;
  say("Choose a picture.");
}

async function show(picture) {
  forget();
  say("Looking…");
  const number = asked, started = performance.now(), { seen, answers } = await faces.answer(picture);
  if (number !== asked) return; // another was chosen meanwhile
  [$("seen").width, $("seen").height] = [seen.width, seen.height];
  $("seen").getContext("2d").putImageData(seen, 0, 0);
  const sorted = [...answers].sort((a, b) => b[1] - a[1]);
  $("bars").replaceChildren(...sorted.map(bar));
  say(`${sorted[0][0]}, ${percent(sorted[0][1])} (${Math.round(performance.now() - started)} ms)`);
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;

function bar([name, value]) {
  const item = document.createElement("li");
  item.innerHTML = '<span></span><div class="track"><div></div></div><span></span>';
  item.firstChild.textContent = name;
  item.lastChild.textContent = percent(value);
  item.querySelector(".track div").style.width = `${100 * value}%`;
  return item;
}

function chosen(id, use) {
  $(id).addEventListener("click", ({ target }) => (target.value = "")); // so that the same file can be chosen again
  $(id).addEventListener("change", ({ target }) => {
    if (target.files[0]) attempt(() => use(target.files[0]));
  });
}

chosen("model", async (file) => useModel(new Uint8Array(await file.arrayBuffer()), file.name));
chosen("picture", show);

attempt(async () => {
  if (!window.ort) throw new Error("ort/ort.wasm.min.js is not there: README.md says how to get it");
  ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page
  const answer = await fetch("faces.onnx");
  if (answer.ok) await useModel(new Uint8Array(await answer.arrayBuffer()), "faces.onnx");
  else say("Choose a model.");
});
