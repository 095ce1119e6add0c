const byId = (id) => document.getElementById(id);
const [drop, file, answer, photo, word, unfamiliar, ranked] =
  ["drop", "file", "answer", "photo", "word", "unfamiliar", "ranked"].map(byId);
let asked = 0;

const about = await (await fetch("/api/model")).json();
const shown = about.classes.slice(0, 8).join(", ");
const more = about.classes.length > 8 ? ` and ${about.classes.length - 8} more` : "";
byId("about").textContent = `${about.folder} tells apart ${shown}${more}.`;
document.title = `Try ${about.folder}`;

file.addEventListener("change", () => look(file.files[0]));
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  look(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => look(event.clipboardData.files[0]));
document.documentElement.dataset.ready = "true";

async function look(chosen) {
  if (!chosen) return;
  const mine = ++asked;
  show(chosen);
  tell("Looking …");
  let found;
  try {
    const reply = await fetch("/api/look", { method: "POST", body: chosen });
    found = await reply.json();
  } catch {
    found = { error: "the program that serves this page has ended; start it again" };
  }
  if (mine !== asked) return;
  if (found.error) tell(`Cannot be read: ${found.error}`);
  else tell(found.ranked[0].class, found);
}

function show(chosen) {
  URL.revokeObjectURL(photo.src);
  photo.hidden = true;
  photo.onload = () => { photo.hidden = false; };
  photo.src = URL.createObjectURL(chosen);
  photo.alt = chosen.name ? `The photograph ${chosen.name}` : "The photograph";
  answer.hidden = false;
}

function tell(text, found = { ranked: [] }) {
  word.textContent = text;
  unfamiliar.hidden = !found.unfamiliar;
  ranked.replaceChildren(...found.ranked.map(bar));
}

function bar(one) {
  const item = document.createElement("li");
  const [name, share, track, filled] = ["span", "span", "span", "i"].map((tag) =>
    document.createElement(tag));
  name.textContent = one.class;
  share.textContent = `${(100 * one.probability).toFixed(1)} %`;
  share.className = "share";
  track.className = "track";
  track.setAttribute("aria-hidden", "true");
  filled.style.width = `${100 * one.probability}%`;
  track.append(filled);
  item.append(name, share, track);
  return item;
}
