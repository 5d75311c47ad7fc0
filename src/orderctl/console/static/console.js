// Keeps the page up to date. The server sends whole parts of the page, so one that lost the
// connection has everything again with the first that arrives.
"use strict";

const SILENCE_MS = 15_000; // the server says something every 5 s
const DOTS_AT_ONCE = 80;
const SPEED = 0.42; // of a dot, in units of the picture per millisecond
const SVG = "http://www.w3.org/2000/svg";

// Whoever looks opens and closes what can be: a new picture leaves it so.
htmx.config.morphIgnore.push("open");

const connection = document.getElementById("connection");
let heard = Date.now();

function say(state, text) {
  if (connection.dataset.state === state && state !== "lost") return;
  connection.dataset.state = state;
  connection.textContent = text;
}

function clock(time) {
  return new Date(time).toISOString().slice(11, 19);
}

function connect() {
  const source = new EventSource("/live");
  const hear = (act) => (message) => {
    heard = Date.now();
    say("live", "live");
    act(message.data);
  };
  source.addEventListener("beat", hear(() => {}));
  source.addEventListener("flow", hear((html) => show("flow", html)));
  source.addEventListener("passed", hear((html) => show("passed", html)));
  source.addEventListener("events", hear((data) => animate(JSON.parse(data))));
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(reconnect, 3000);
  };
}

// A browser gives up when it is refused: another console, with another secret, has the port.
async function reconnect() {
  const answer = await fetch("/static/icon.svg").catch(() => null);
  if (answer?.status === 403) say("lost", "another console runs here now: open its address");
  connect();
}

function lost() {
  if (connection.dataset.state !== "lost") {
    say("lost", `connection lost at ${clock(heard)} UTC`);
  }
}

setInterval(() => {
  if (Date.now() - heard > SILENCE_MS) lost();
}, 1000);

function show(id, html) {
  const target = document.getElementById(id);
  if (target) htmx.swap({ text: html, target, swap: "innerMorph" });
}

// A page that still changes says after how many seconds it is to be read again.

async function readAgain() {
  const part = document.querySelector("[data-again]");
  if (!part) return;
  try {
    const answer = document.hidden ? null : await fetch(location.pathname);
    const text = answer?.ok ? await answer.text() : "";
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById(part.id);
    if (fresh) {
      show(part.id, fresh.innerHTML);
      if (!fresh.dataset.again) {
        delete part.dataset.again;
        return;
      }
    }
  } catch {
    // The connection's own mark says that it is lost; the next time may be better.
  }
  setTimeout(readAgain, part.dataset.again * 1000);
}

// Orders on their way: a dot for each event, along the lanes of the picture that is shown.

const moving = new Set();

function animate(counts, target) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const stage = document.querySelector(".stage");
  const layer = stage && [...stage.querySelectorAll(".dots")].find((each) => each.clientWidth);
  if (!layer) return;
  const paths = JSON.parse(stage.dataset.paths)[layer.id.replace("dots-", "")];
  for (const [type, count] of Object.entries(counts)) {
    for (const [step, d] of Object.entries(paths[type] ?? {})) {
      if (target && step !== target) continue;
      const dots = Math.min(count, 12);
      for (let number = 0; number < dots; number++) {
        setTimeout(() => send(layer, d, count / dots), (number / dots) * 1000);
      }
    }
  }
}

function send(layer, d, weight) {
  if (moving.size >= DOTS_AT_ONCE || !layer.isConnected || document.hidden) return;
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", d);
  const dot = document.createElementNS(SVG, "circle");
  dot.setAttribute("class", "dot");
  dot.setAttribute("r", String(Math.min(3.5 + Math.log2(weight), 8)));
  layer.append(dot);
  moving.add(dot);
  const length = path.getTotalLength();
  const start = performance.now();
  const step = (now) => {
    const way = Math.max(now - start, 0) * SPEED;
    if (way >= length || !dot.isConnected) {
      dot.remove();
      moving.delete(dot);
      return;
    }
    const { x, y } = path.getPointAtLength(way);
    dot.setAttribute("cx", x.toFixed(1));
    dot.setAttribute("cy", y.toFixed(1));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

setTimeout(readAgain, 1000);
window.consoleDots = (type, target) => animate({ [type]: 1 }, target);
connect();
